"""The network of the stages tdnn and chain in torch: layers, training, and the way to arrays.

Each layer is two products with a narrow row between them: a factored time-delay layer. The first
product is kept near to rows at right angles. Source: D. Povey and others (2018), "Semi-orthogonal
low-rank matrix factorization for deep neural networks", Interspeech.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from factored_asr.acoustic.nnet3 import Layer, Network
from factored_asr.errors import MissingError
from factored_asr.training.chain.options import TdnnOptions

BYPASS = 0.66
"""Weight of a layer's input in the sum with its output."""
EPSILON = 1e-3
"""Added to the variances that rows are divided by."""


def torch_module() -> Any:
    """Import torch; MissingError says how to install it."""
    try:
        import torch
    except ImportError:
        raise MissingError(
            "training a network needs torch: pip install 'factored-asr[train]'"
        ) from None
    torch.set_num_threads(1)  # results depend on it in the last bits
    return torch


class Tdnn:
    """A network in training: weights by name, and the forward pass.

    Parameters
    ----------
    n_inputs, n_outputs
        Values of a frame, and pdfs.
    options
        Its shape.
    """

    def __init__(self, n_inputs: int, n_outputs: int, options: TdnnOptions):
        self._torch = torch = torch_module()
        self.options, self.n_inputs, self.n_outputs = options, n_inputs, n_outputs
        h, b = options.hidden, options.bottleneck
        sizes = {"tdnn1.affine": (h, 3 * n_inputs)}
        for i in range(len(options.offsets)):
            sizes[f"tdnnf{i + 2}.linear"] = (b, 2 * h)
            sizes[f"tdnnf{i + 2}.affine"] = (h, 2 * b)
        random = torch.Generator().manual_seed(options.seed)
        self.weights: dict[str, Any] = {}
        for name, size in sizes.items():
            self.weights[name] = torch.randn(size, generator=random) / math.sqrt(size[1])
            if not name.endswith("linear"):
                self.weights[f"{name}.bias"] = torch.zeros(size[0])
        for name in ("output", "entropy"):
            self.weights[name] = torch.zeros(n_outputs, h)
            self.weights[f"{name}.bias"] = torch.zeros(n_outputs)
        for weight in self.weights.values():
            weight.requires_grad_()
        self.moments = {name: torch.stack([torch.zeros(h), torch.ones(h)])
                        for name in self.normalised}
        """Running mean and variance, (2, hidden), of each layer's values."""

    @property
    def normalised(self) -> list[str]:
        """Names of the layers whose values are normalised."""
        return ["tdnn1", *(f"tdnnf{i + 2}" for i in range(len(self.options.offsets)))]

    @property
    def context(self) -> int:
        """Frames that an output needs to either side of its own."""
        return 1 + sum(self.options.offsets)

    def rows(self, x: Any, random: Any = None, momentum: float = 0.1) -> Any:
        """Return the rows below the outputs, (n, n_frames of the output, hidden).

        Values are normalised by the moments of `x`, which the running ones take up with the weight
        `momentum`; 0: by the running ones, as in decoding.

        Parameters
        ----------
        x
            (n, context + n_frames of the input + context, n_inputs).
        random
            torch's generator, for dropout; None: there is no dropout.
        """
        torch, w = self._torch, self.weights
        first = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], 2)
        x = self._end("tdnn1", first @ w["tdnn1.affine"].T + w["tdnn1.affine.bias"], random,
                      momentum)
        every, step = 1, self.options.step
        for i, offset in enumerate(self.options.offsets):
            name = f"tdnnf{i + 2}"
            if offset % step == 0 and every < step:
                # frames that are multiples of the step, counted from that of the output
                left = sum(self.options.offsets[i:])
                x, every = x[:, left % step :: step], step
            k = offset // every
            narrow = torch.cat([x[:, :-k], x[:, k:]], 2) @ w[f"{name}.linear"].T
            wide = torch.cat([narrow[:, :-k], narrow[:, k:]], 2) @ w[f"{name}.affine"].T
            wide = self._end(name, wide + w[f"{name}.affine.bias"], random, momentum)
            x = wide + BYPASS * x[:, k : x.shape[1] - k]
        return x

    def _end(self, name: str, x: Any, random: Any, momentum: float) -> Any:
        """Return values behind ReLU, normalisation and dropout."""
        torch = self._torch
        x = torch.relu(x)
        if not momentum:
            mean, variance = self.moments[name]
            return (x - mean) * (variance + EPSILON).rsqrt()
        mean, variance = x.mean((0, 1)), x.var((0, 1), unbiased=False)
        with torch.no_grad():
            self.moments[name].lerp_(torch.stack([mean, variance]), momentum)
        x = (x - mean) * (variance + EPSILON).rsqrt()
        dropout = self.options.dropout
        if dropout and random is not None:
            x = x * (torch.rand(x.shape, generator=random) >= dropout) / (1 - dropout)
        return x

    def scores(self, rows: Any, output: str = "output") -> Any:
        """Return the outputs of rows: scores of pdfs, or for ``entropy`` before their softmax."""
        return rows @ self.weights[output].T + self.weights[f"{output}.bias"]

    def orthogonalise(self) -> None:
        """Move the first factors a step towards rows at right angles, of one length."""
        torch = self._torch
        with torch.no_grad():
            for name in self.normalised[1:]:
                m = self.weights[f"{name}.linear"]
                p = m @ m.T
                scale = (p * p).sum() / p.trace()
                m -= 0.5 / scale * (p - scale * torch.eye(len(p))) @ m

    def arrays(self) -> dict[str, np.ndarray]:
        """Return weights and moments by name."""
        found = {name: each.detach() for name, each in self.weights.items()}
        found |= {f"{name}.moments": each for name, each in self.moments.items()}
        return {name: each.numpy().copy() for name, each in found.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take weights and moments of `arrays`."""
        torch = self._torch
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(torch.from_numpy(np.array(arrays[name])))
            for name, moments in self.moments.items():
                moments.copy_(torch.from_numpy(np.array(arrays[f"{name}.moments"])))


def exported(arrays: Mapping[str, np.ndarray], options: TdnnOptions) -> Network:
    """Return the network of trained arrays (see `Tdnn.arrays`) on numpy's layers."""
    h, n_inputs = options.hidden, arrays["tdnn1.affine"].shape[1] // 3
    lines, layers = [f"input-node name=input dim={n_inputs}"], dict[str, Layer]()

    def add(name: str, layer: Layer, source: str) -> str:
        layers[name] = layer
        lines.append(f"component-node name={name} component={name} input={source}")
        return name

    def affine(name: str, source: str, offsets: tuple[int, ...], of: str = "") -> str:
        weight = arrays[of or name]
        bias = arrays.get(f"{of or name}.bias", np.zeros(len(weight), np.float32))
        return add(name, Layer("affine", weight.shape[1] // len(offsets), len(weight),
                               {"weight": weight, "bias": bias}, {"offsets": offsets}), source)

    def end(name: str, source: str) -> str:
        relu = add(f"{name}.relu", Layer("relu", h, h), source)
        mean, variance = arrays[f"{name}.moments"]
        scale = 1 / np.sqrt(variance + np.float32(EPSILON))
        return add(f"{name}.batchnorm", Layer(
            "scale", h, h, {"scale": scale, "offset": -mean * scale}), relu)

    at = end("tdnn1", affine("tdnn1.affine", "input", (-1, 0, 1)))
    for i, offset in enumerate(options.offsets):
        name = f"tdnnf{i + 2}"
        narrow = affine(f"{name}.linear", at, (-offset, 0))
        wide = end(name, affine(f"{name}.affine", narrow, (0, offset)))
        at = add(f"{name}.noop", Layer("identity", h, h), f"Sum(Scale({BYPASS}, {at}), {wide})")
    last = affine("output.affine", at, (0,), of="output")
    lines.append(f"output-node name=output input={last}")
    return Network(tuple(lines), layers, options.step)
