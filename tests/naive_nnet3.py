"""Slow, obvious twin of nnet3 networks: one frame of one node at a time, from the formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class NaiveNetwork:
    """`components` maps names to (type, values as written); inputs before the first frame and
    after the last are its copies."""

    def __init__(self, lines: Sequence[str], components: Mapping[str, tuple[str, dict[str, Any]]]):
        self.nodes = {}
        for line in lines:
            kind, rest = line.split(" ", 1)
            name = rest.split(" ")[0].removeprefix("name=")
            source = rest.partition(" input=")[2].partition(" objective=")[0]
            component = rest.partition(" component=")[2].split(" ")[0]
            self.nodes[name] = kind, source, component, rest
        self.components = components

    def output(self, inputs: np.ndarray, ivector: np.ndarray, frames: Sequence[int],
               first: int) -> np.ndarray:
        """Rows of the node output; recurrent nodes have nothing before the frame `first`."""
        self.inputs, self.ivector, self.first, self.known = inputs, ivector, first, {}
        return np.stack([self.node("output", frame) for frame in frames])

    def node(self, name: str, t: int) -> np.ndarray:
        if (name, t) not in self.known:
            self.known[name, t] = self._node(name, t)
        return self.known[name, t]

    def _node(self, name: str, t: int) -> np.ndarray:
        kind, source, component, rest = self.nodes[name]
        if kind == "input-node":
            if name == "ivector":
                return self.ivector
            return self.inputs[min(max(t, 0), len(self.inputs) - 1)]
        if kind == "dim-range-node":
            values = dict(part.split("=") for part in rest.split())
            first, n = int(values["dim-offset"]), int(values["dim"])
            return self.node(values["input-node"], t)[first : first + n]
        if kind == "output-node":
            return self.described(source, t)
        type_, values = self.components[component]
        return np.asarray(apply(type_, values, lambda by: self.described(source, t + by)))

    def described(self, text: str, t: int) -> np.ndarray:
        """Evaluate a descriptor as a Python expression of functions of the frame."""
        def name(of: str) -> Any:
            def value(at: int) -> np.ndarray:
                if self.width and at < self.first:
                    raise LookupError(of)
                return self.node(of, at)
            return value

        def if_defined(of: Any) -> Any:
            def value(at: int) -> np.ndarray:
                try:
                    return of(at)
                except LookupError:
                    return np.zeros(self.width)
            return value

        functions = {
            "Append": lambda *of: lambda at: np.concatenate([each(at) for each in of]),
            "Sum": lambda *of: lambda at: sum(each(at) for each in of),
            "Offset": lambda of, by: lambda at: of(at + by),
            "Scale": lambda by, of: lambda at: by * of(at),
            "Const": lambda value, n: lambda at: np.full(n, value),
            "IfDefined": if_defined,
            "ReplaceIndex": lambda of, t, value: of,
            "Round": lambda of, n: of,
            "t": 0,
        }
        names = {each: name(each) for each in self.nodes}
        return np.asarray(eval(text, {**names, **functions})(t))

    width = 0
    """Elements of what may lack in recurrent networks; 0: nothing may."""


def apply(type_: str, v: dict[str, Any], x_at: Any) -> np.ndarray:
    """One row of a component; `x_at` gives the row of its input so many frames away."""
    if type_ == "Tdnn":
        x = np.concatenate([x_at(by) for by in v["TimeOffsets"]])
        bias = v["BiasParams"] if len(v["BiasParams"]) else np.zeros(len(v["LinearParams"]))
        return v["LinearParams"] @ x + bias
    if type_ == "TimeHeightConvolution":
        return _convolution(v, x_at)
    x = x_at(0)
    if type_ in ("Affine", "NaturalGradientAffine", "FixedAffine"):
        return v["LinearParams"] @ x + v["BiasParams"]
    if type_ == "Linear":
        return v["Params"] @ x
    if type_ == "BatchNorm":
        n = len(x) // len(v["StatsMean"])
        mean, var = np.tile(v["StatsMean"], n), np.tile(v["StatsVar"], n)
        return (x - mean) * v["TargetRms"] / np.sqrt(var + v["Epsilon"])
    if type_ == "RectifiedLinear":
        return np.array([max(0.0, each) for each in x])
    if type_ == "Sigmoid":
        return np.array([1 / (1 + math.exp(-each)) for each in x])
    if type_ == "Tanh":
        return np.array([math.tanh(each) for each in x])
    if type_ in ("Softmax", "LogSoftmax"):
        total = sum(math.exp(each) for each in x)
        return np.array([math.exp(each) / total if type_ == "Softmax" else each - math.log(total)
                         for each in x])
    if type_ == "Normalize":
        parts = []
        for block in x.reshape(-1, v.get("BlockDim", len(x))):
            rms = math.sqrt(sum(each * each for each in block) / len(block))
            parts += [each / rms * v["TargetRms"] for each in block]
            if v.get("AddLogStddev"):
                parts.append(math.log(rms))
        return np.array(parts)
    if type_ == "Pnorm":
        groups = x.reshape(v["OutputDim"], -1)
        return np.array([math.sqrt(sum(each * each for each in group)) for group in groups])
    if type_ == "Permute":
        return np.array([x[at] for at in v["ColumnMap"]])
    if type_ == "SumGroup":
        ends = np.cumsum(v["Sizes"])
        return np.array([x[end - n : end].sum() for end, n in zip(ends, v["Sizes"], strict=True)])
    if type_ == "ElementwiseProduct":
        return x[: v["OutputDim"]] * x[v["OutputDim"] :]
    if type_ in ("FixedScale", "PerElementScale", "ScaleAndOffset"):
        scale = v["Params"] if "Params" in v else v["Scales"]
        return x * scale + v.get("Offsets", 0)
    if type_ in ("FixedBias", "PerElementOffset"):
        return x + (v["Bias"] if "Bias" in v else v["Offsets"])
    if type_ == "LstmNonlinearity":
        return _lstm(v["Params"], x)
    assert type_ in ("NoOp", "Dropout", "GeneralDropout", "ClipGradient"), type_
    return x


def _convolution(v: dict[str, Any], x_at: Any) -> np.ndarray:
    n_in, n_out = v["NumFiltersIn"], v["NumFiltersOut"]
    out = np.tile(v["BiasParams"], v["HeightOut"]).reshape(v["HeightOut"], n_out).copy()
    for height in range(v["HeightOut"]):
        for k, (by, up) in enumerate(v["Offsets"]):
            read = height * v["HeightSubsampleOut"] + up
            if 0 <= read < v["HeightIn"]:
                x = x_at(by)[read * n_in : (read + 1) * n_in]
                out[height] += v["LinearParams"][:, k * n_in : (k + 1) * n_in] @ x
    return out.ravel()


def _lstm(params: np.ndarray, x: np.ndarray) -> np.ndarray:
    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    n = len(x) // 5
    cells, outs = [], []
    for k in range(n):
        i, f, c, o, before = (x[part * n + k] for part in range(5))
        cell = (sigmoid(f + params[1, k] * before) * before
                + sigmoid(i + params[0, k] * before) * math.tanh(c))
        cells.append(cell)
        outs.append(sigmoid(o + params[2, k] * cell) * math.tanh(cell))
    return np.array(cells + outs)
