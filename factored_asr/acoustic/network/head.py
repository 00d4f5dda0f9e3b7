"""The head: from the encoder's frames to log probabilities of phones and of the blank.

Dense layers, each of which may look at some frames around, with a non-linear function between them.
They are trained with connectionist temporal classification (CTC; A. Graves and others, 2006) while
the encoder stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.network._kernels import gelu, layer_norm
from factored_asr.acoustic.network.changes import Changes
from factored_asr.errors import FormatError
from factored_asr.storage.reading import read_arrays

VERSION, CHANGED = 1, 2
"""Of the files, and of those with changes of the encoder."""
BLANK = "<blank>"
"""Name of the first output."""
MAX_LAYERS, MAX_OFFSET = 20, 50


@dataclass(frozen=True, eq=False)
class Layer:
    """One dense layer: y[t] = bias + Σ x[t + offset] @ weight, the first or last row repeated."""

    offsets: tuple[int, ...]
    """Frames around, ascending, that it looks at; (0,): the frame alone."""
    weight: np.ndarray
    """(n_offsets · n_inputs, n_outputs) float32, the inputs of the first offset first."""
    bias: np.ndarray
    """(n_outputs,) float32."""
    residual: bool = False
    """True: the inputs are added to the outputs."""

    def __call__(self, x: np.ndarray, activation: str = "") -> np.ndarray:
        """Return the outputs, (n_frames, n_outputs), of (n_frames, n_inputs)."""
        last, at = len(x) - 1, np.arange(len(x))
        around = [x if not offset else x[np.clip(at + offset, 0, last)] for offset in self.offsets]
        y = (around[0] if len(around) == 1 else np.concatenate(around, axis=1)) @ self.weight
        if activation == "gelu":
            gelu(y, self.bias)
        else:
            y += self.bias
            if activation == "relu":
                np.maximum(y, 0, out=y)
            elif activation == "silu":
                y /= 1 + np.exp(-y)
        return y + x if self.residual else y


ACTIVATIONS = ("relu", "gelu", "silu")


@dataclass(frozen=True, eq=False)
class Head:
    """The layers, and what their outputs mean."""

    phones: tuple[str, ...]
    """Names of the outputs; the first is the blank."""
    log_prior: np.ndarray
    """(n_phones,) float32: natural log of how often each output occurred in training."""
    encoder_layers: tuple[int, ...]
    """Which of the encoder's h[0] … h[7] are its inputs, side by side."""
    layers: tuple[Layer, ...]
    """In order."""
    activation: str = "relu"
    """The function between two layers: ``relu``, ``gelu`` or ``silu``."""
    normalise: bool = False
    """True: each of the inputs is normalised to mean 0 and variance 1 over its values."""
    description: str = ""
    """One line on data and training."""
    licence: str = ""
    """Of its weights."""
    changes: Changes | None = None
    """Changes of the encoder, with which it was trained; None: the encoder is as it comes."""

    @property
    def context(self) -> int:
        """Frames before a frame that its outputs depend on."""
        return sum(max(0, -layer.offsets[0]) for layer in self.layers)

    def __call__(self, hidden: Sequence[np.ndarray]) -> np.ndarray:
        """Return log probabilities, (n_frames, n_phones) float32.

        Parameters
        ----------
        hidden
            What the encoder returns.
        """
        parts = [hidden[layer] for layer in self.encoder_layers]
        if self.normalise:
            parts = [layer_norm(part, np.ones(part.shape[1], np.float32)) for part in parts]
        x = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        for layer in self.layers[:-1]:
            x = layer(x, self.activation)
        logits = self.layers[-1](x)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def read_head(path: str | Path) -> Head:
    """Read a head from a ``.npz`` file; `write_head` says what is in it.

    Raises MissingError where there is no such file, FormatError where it is damaged, or its parts
    do not fit each other.
    """
    values = read_arrays(path)
    try:
        return head_of(values)
    except FormatError as error:
        raise FormatError(str(error), path) from None
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise FormatError(f"its arrays do not make a head: {error}", path) from None


def write_head(path: str | Path, head: Head, dtype: Any = np.float16) -> None:
    """Write a head to a ``.npz`` file, its weights as `dtype`, default float16."""
    values: dict[str, Any] = {
        "version": np.int32(VERSION if head.changes is None else CHANGED),
        "phones": np.array(head.phones),
        "log_prior": head.log_prior.astype(np.float32), "activation": np.array(head.activation),
        "encoder_layers": np.array(head.encoder_layers, np.int32),
        "n_layers": np.int32(len(head.layers)), "normalise": np.bool_(head.normalise),
        "description": np.array(head.description), "licence": np.array(head.licence),
    }
    for i, layer in enumerate(head.layers):
        values[f"offsets_{i}"] = np.array(layer.offsets, np.int32)
        values[f"weight_{i}"] = layer.weight.astype(dtype)
        values[f"bias_{i}"] = layer.bias.astype(dtype)
        values[f"residual_{i}"] = np.bool_(layer.residual)
    if head.changes is not None:
        values |= {name: each.astype(dtype) for name, each in head.changes.to_arrays().items()}
    with open(path, "wb") as file:
        np.savez_compressed(file, **values)


def head_of(values: Mapping[str, np.ndarray]) -> Head:
    """Return the head that arrays make; FormatError, KeyError or ValueError where they do not."""

    def text(name: str) -> str:
        return str(values[name]) if name in values else ""

    def flag(name: str) -> bool:
        return bool(values[name]) if name in values else False

    version = int(values["version"])
    if version not in (VERSION, CHANGED):
        raise FormatError(f"is of version {version}, this program reads {VERSION} and {CHANGED}")
    n_layers = int(values["n_layers"])
    if not 1 <= n_layers <= MAX_LAYERS:
        raise FormatError(f"{n_layers} layers, must be 1 to {MAX_LAYERS}")
    layers = tuple(
        Layer(
            tuple(int(offset) for offset in values[f"offsets_{i}"]),
            np.ascontiguousarray(values[f"weight_{i}"], np.float32),
            np.ascontiguousarray(values[f"bias_{i}"], np.float32), flag(f"residual_{i}"),
        )
        for i in range(n_layers)
    )  # fmt: skip
    head = Head(
        tuple(str(phone) for phone in values["phones"]),
        np.asarray(values["log_prior"], np.float32),
        tuple(int(layer) for layer in np.atleast_1d(values["encoder_layers"])), layers,
        text("activation"), flag("normalise"), text("description"), text("licence"),
        Changes.from_arrays(values) if version == CHANGED else None,
    )
    _check(head)
    return head


def _check(head: Head) -> None:
    """Raise FormatError where the parts do not fit each other."""
    n_phones = len(head.phones)
    if head.phones[0] != BLANK or len(set(head.phones)) != n_phones or n_phones < 2:
        raise FormatError(f"phones must be distinct, {BLANK!r} first, got {head.phones[:3]} …")
    if head.log_prior.shape != (n_phones,) or not np.isfinite(head.log_prior).all():
        raise FormatError(f"log_prior must be {n_phones} finite numbers")
    if head.activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise FormatError(f"activation {head.activation!r}, must be one of {known}")
    used = head.encoder_layers
    if not used or min(used) < 0 or max(used) > 7:
        raise FormatError(f"encoder_layers {used} must lie in 0..7")
    width = 288 * len(used)
    for i, layer in enumerate(head.layers):
        offsets = layer.offsets
        if not offsets or sorted(set(offsets)) != list(offsets) or (
            max(-offsets[0], offsets[-1]) > MAX_OFFSET
        ):  # fmt: skip
            raise FormatError(f"offsets_{i} {offsets} must ascend, within ±{MAX_OFFSET}")
        n_outputs = layer.bias.size
        shape = len(offsets) * width, n_outputs
        if layer.bias.shape != (n_outputs,) or layer.weight.shape != shape:
            raise FormatError(
                f"weight_{i} {layer.weight.shape} and bias_{i} {layer.bias.shape} do not fit "
                f"{len(offsets)} offsets of {width} inputs"
            )
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise FormatError(f"weight_{i} or bias_{i} is not finite")
        if layer.residual and n_outputs != width:
            raise FormatError(f"residual_{i} needs as many outputs as inputs")
        width = n_outputs
    if width != n_phones:
        raise FormatError(f"{width} outputs for {n_phones} phones")
