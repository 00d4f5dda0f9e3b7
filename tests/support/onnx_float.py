"""ONNX Runtime as an oracle of the encoder: the same weights, products in float32, not 8 bits.

The file rounds the inputs of its matrix products to 8 bits, over the range that they have in each
sound. A last bit decides such a rounding, so no other program can give the same numbers: outputs
differ by 0.01 (standard deviation) and in places by 0.3, where the outputs' own is 0.5. Here the
rounding is taken out and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HIDDEN = ("/Transpose_output_0", *(f"/layers.{k}/Add_1_output_0" for k in range(5)))
"""What enters the six blocks."""


class Oracle:
    """The encoder in ONNX Runtime, on one thread."""

    def __init__(self, path: Path, folder: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.as_it_is = onnxruntime.InferenceSession(str(path), options)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = str(folder / "encoder.onnx")
        onnxruntime.InferenceSession(str(path), options)
        plain = onnxruntime.SessionOptions()
        plain.intra_op_num_threads = plain.inter_op_num_threads = 1
        plain.log_severity_level = 3
        model = _without_rounding(folder / "encoder.onnx")
        self.in_float = onnxruntime.InferenceSession(model, plain)

    def __call__(self, samples: np.ndarray) -> list[np.ndarray]:
        """h[0] to h[5], and the output h[7]."""
        found = self.in_float.run([*HIDDEN, "last_hidden_state"], _inputs(samples))
        return [each[0] for each in found]

    def rounded(self, samples: np.ndarray) -> np.ndarray:
        """The output of the file as it is."""
        return self.as_it_is.run(None, _inputs(samples))[0][0]


def _inputs(samples: np.ndarray) -> dict[str, np.ndarray]:
    return {"input_values": samples[None], "attention_mask": np.ones((1, len(samples)), np.int64)}


def _without_rounding(path: Path) -> bytes:
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    rounded = {node.output[0]: node.input[0] for node in graph.node
               if node.op_type == "DynamicQuantizeLinear"}  # fmt: skip
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type == "DynamicQuantizeMatMul":
            x, weight, scale, zero = node.input[:4]
            bias = node.input[4] if len(node.input) > 4 else ""
        elif node.op_type == "MatMulIntegerToFloat":
            x, weight, _, scale, _, zero = node.input[:6]
            x, bias = rounded[x], ""
        else:
            nodes += [node] if node.op_type != "DynamicQuantizeLinear" else []
            continue
        name, product = f"{weight}_float", node.output[0] + "_product" * bool(bias)
        matrix = (constants[weight] - np.float32(constants[zero])) * constants[scale]
        if name not in [each.name for each in graph.initializer]:
            graph.initializer.append(numpy_helper.from_array(matrix.astype(np.float32), name))
        nodes.append(helper.make_node("MatMul", [x, name], [product]))
        if bias:
            nodes.append(helper.make_node("Add", [product, bias], [node.output[0]]))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, "frames", 288])
        for name in HIDDEN
    )
    return model.SerializeToString()
