"""The layers of nnet3 networks: from rows of inputs to rows of outputs, in numpy.

A `Layer` is a value of plain arrays, so that it is stored as it is. Many of Kaldi's component types
are one kind here: a batch normalisation at test time, say, is a ``scale`` (see
models/importers/kaldi_nnet3.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from factored_asr.errors import OptionError

Operation = Callable[[np.ndarray], np.ndarray]
"""Takes (n, dim_in) float32, gives (n, dim_out) float32."""
MAX_ELEMENTS = 100_000
"""Of a row of one frame."""
FLOOR = 2.0**-66
"""Of the mean square that a row is divided by."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: its kind, arrays and numbers.

    ==============  ===================================================================
    kind            what it computes of a row x
    ==============  ===================================================================
    affine          weight · x + bias, of x at each of the frames t + ``offsets``
    convolution     the same over frames and heights: ``time_offsets``, ``height_offsets``
    scale           scale · x + offset, elementwise, in blocks
    relu, sigmoid   their functions, element by element; so are tanh and identity
    softmax         over the row; log_softmax is its logarithm
    normalise       x divided by its root mean square, times ``rms``, in blocks
    pnorm           root of the sum of squares of groups
    permute         x in the order ``map``
    sum_groups      the sum of each group of ``sizes``
    product         product of ``parts`` parts of x, elementwise
    lstm            cell and output of an LSTM with peepholes, of gates and cell before
    ==============  ===================================================================

    Raises
    ------
    OptionError
        The kind is not known, or its arrays do not fit each other.

    Examples
    --------
    >>> layer = Layer("affine", 2, 1, {"weight": np.ones((1, 2)), "bias": np.zeros(1)})
    >>> layer.operation(np.array([[1, 2]], np.float32))
    array([[3.]], dtype=float32)
    """

    kind: str
    dim_in: int
    """Elements of a row of one frame."""
    dim_out: int
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Numbers, and lists of numbers."""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise OptionError(f"layer of kind {self.kind!r}: known are {', '.join(_KINDS)}")
        arrays = {name: np.ascontiguousarray(array, np.float32)
                  for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", arrays)
        if not all(1 <= n <= MAX_ELEMENTS for n in (self.dim_in, self.dim_out)):
            raise OptionError(f"layer {self.kind} from {self.dim_in} to {self.dim_out} elements, "
                              f"must be 1 to {MAX_ELEMENTS}")
        try:
            operation = _KINDS[self.kind](self)
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise OptionError(f"layer {self.kind}: its arrays do not fit: {error!r}") from error
        object.__setattr__(self, "operation", operation)

    operation: Operation = field(init=False)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Frames, relative to that of the output, whose inputs a row is made of."""
        if self.kind == "convolution":
            return tuple(sorted({int(t) for t in self.facts["time_offsets"]}))
        return tuple(int(t) for t in self.facts.get("offsets", (0,)))


def _affine(layer: Layer) -> Operation:
    weight, bias = layer.arrays["weight"], layer.arrays["bias"]
    _fit(weight, (layer.dim_out, layer.dim_in * len(layer.offsets)))
    _fit(bias, (layer.dim_out,))
    columns = np.ascontiguousarray(weight.T)
    if not bias.any():
        return lambda rows: rows @ columns

    def apply(rows: np.ndarray) -> np.ndarray:
        out = rows @ columns
        out += bias
        return out

    return apply


def _convolution(layer: Layer) -> Operation:
    """Rows are heights of filters: element ``height * n_filters + filter``."""
    facts = layer.facts
    n_in, n_out = int(facts["filters_in"]), int(facts["filters_out"])
    height_in, height_out = int(facts["height_in"]), int(facts["height_out"])
    step, times = int(facts["height_step"]), layer.offsets
    weight, bias = layer.arrays["weight"], layer.arrays["bias"]
    pairs = list(zip(facts["time_offsets"], facts["height_offsets"], strict=True))
    _fit(weight, (n_out, n_in * len(pairs)))
    _fit(bias, (n_out,))
    if (layer.dim_in, layer.dim_out) != (n_in * height_in, n_out * height_out) or step < 1:
        raise ValueError("heights and filters are not those of its rows")
    # row of the padded heights that each output height reads for each offset; the last is zeros
    heights = np.arange(height_out)[:, None] * step + np.array([h for _, h in pairs])
    frame = np.array([times.index(int(t)) for t, _ in pairs])
    inside = (heights >= 0) & (heights < height_in)
    source = np.where(inside, frame * height_in + heights, len(times) * height_in)
    columns = np.ascontiguousarray(weight.T)

    def apply(rows: np.ndarray) -> np.ndarray:
        blocks = rows.reshape(len(rows), -1, n_in)
        blocks = np.concatenate([blocks, np.zeros((len(rows), 1, n_in), np.float32)], axis=1)
        patches = blocks[:, source].reshape(len(rows) * height_out, -1)
        return (patches @ columns + bias).reshape(len(rows), -1)

    return apply


def _scale(layer: Layer) -> Operation:
    n_blocks = layer.dim_in // len(layer.arrays["scale"])
    scale, offset = (np.tile(layer.arrays[name], n_blocks) for name in ("scale", "offset"))
    _fit(scale, (layer.dim_out,))
    _fit(offset, (layer.dim_out,))

    def apply(rows: np.ndarray) -> np.ndarray:
        out = rows * scale
        out += offset
        return out

    return apply


def _softmax(rows: np.ndarray) -> np.ndarray:
    weights = np.exp(rows - rows.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _log_softmax(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def _sigmoid(rows: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * rows))


def _normalise(layer: Layer) -> Operation:
    block, rms = int(layer.facts["block"]), np.float32(layer.facts["rms"])
    with_log = bool(layer.facts.get("log_stddev", False))
    n_blocks = layer.dim_in // block
    if layer.dim_in % block or layer.dim_out != layer.dim_in + n_blocks * with_log:
        raise ValueError("blocks that are not those of its rows")

    def apply(rows: np.ndarray) -> np.ndarray:
        blocks = rows.reshape(len(rows), -1, block)
        power = np.maximum((blocks * blocks).mean(axis=2, keepdims=True), np.float32(FLOOR))
        out = blocks * (rms / np.sqrt(power))
        if with_log:
            out = np.concatenate([out, 0.5 * np.log(power)], axis=2)
        return out.reshape(len(rows), -1)

    return apply


def _pnorm(layer: Layer) -> Operation:
    n = layer.dim_out
    if layer.dim_in % n:
        raise ValueError("groups that are not whole")
    return lambda rows: np.sqrt((rows * rows).reshape(len(rows), n, -1).sum(axis=2))


def _permute(layer: Layer) -> Operation:
    order = np.array(layer.facts["map"], np.int64)
    if layer.dim_out != len(order) or not 0 <= order.min() <= order.max() < layer.dim_in:
        raise ValueError("a map beyond its rows")
    return lambda rows: rows[:, order]


def _sum_groups(layer: Layer) -> Operation:
    sizes = np.array(layer.facts["sizes"], np.int64)
    if len(sizes) != layer.dim_out or sizes.sum() != layer.dim_in or sizes.min() < 1:
        raise ValueError("sizes that are not those of its rows")
    first = np.cumsum(sizes) - sizes
    return lambda rows: np.add.reduceat(rows, first, axis=1)


def _product(layer: Layer) -> Operation:
    parts = int(layer.facts["parts"])
    if layer.dim_in != parts * layer.dim_out:
        raise ValueError("parts that are not those of its rows")
    return lambda rows: rows.reshape(len(rows), parts, -1).prod(axis=1)


def _lstm(layer: Layer) -> Operation:
    """Rows are input, forget, cell and output gates, and the cell before; gives cell and output."""
    n = layer.dim_out // 2
    peephole = layer.arrays["peephole"]
    _fit(peephole, (3, n))
    if (layer.dim_in, layer.dim_out) != (5 * n, 2 * n):
        raise ValueError("gates that are not five for two outputs")

    def apply(rows: np.ndarray) -> np.ndarray:
        gate_in, gate_forget, candidate, gate_out, before = np.split(rows, 5, axis=1)
        cell = _sigmoid(gate_forget + peephole[1] * before) * before
        cell += _sigmoid(gate_in + peephole[0] * before) * np.tanh(candidate)
        out = _sigmoid(gate_out + peephole[2] * cell) * np.tanh(cell)
        return np.concatenate([cell, out], axis=1)

    return apply


def _same(operation: Operation) -> Callable[[Layer], Operation]:
    """What an elementwise layer needs: as many outputs as inputs."""

    def make(layer: Layer) -> Operation:
        if layer.dim_in != layer.dim_out:
            raise ValueError(f"{layer.dim_in} inputs, {layer.dim_out} outputs")
        return operation

    return make


def _relu(rows: np.ndarray) -> np.ndarray:
    return np.maximum(rows, 0)


_KINDS: dict[str, Callable[[Layer], Operation]] = {
    "affine": _affine, "convolution": _convolution, "scale": _scale, "normalise": _normalise,
    "pnorm": _pnorm, "permute": _permute, "sum_groups": _sum_groups, "product": _product,
    "lstm": _lstm, "relu": _same(_relu), "sigmoid": _same(_sigmoid), "tanh": _same(np.tanh),
    "softmax": _same(_softmax), "log_softmax": _same(_log_softmax),
    "identity": _same(lambda rows: rows),
}


def _fit(array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"must be {shape}, is {array.shape}")
