"""Samples in memory, as users have them: what may be an array, of which type and shape."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from factored_asr.audio.channels import oriented
from factored_asr.errors import FormatError, OptionError

Samples = NDArray[np.float32]
"""(n_samples,) float32 in [-1, 1]."""
LOUDEST = 16.0  # a float sample beyond is not on the scale of [-1, 1]


def is_bytes(source: object) -> TypeGuard[bytes | bytearray | memoryview]:
    """Return whether a source is plain bytes: a view of floats, say, is an array."""
    return isinstance(source, bytes | bytearray) or (
        isinstance(source, memoryview) and source.format in ("B", "b", "c")
    )


def is_array(source: object) -> bool:
    """Return whether a source is an array of samples, or can be made one."""
    if isinstance(source, str) or is_bytes(source):  # also numpy's own texts
        return False
    return isinstance(source, np.ndarray | list | tuple | array | memoryview) or hasattr(
        source, "__array__"
    )


def no_sound(source: object) -> OptionError:
    """Return the error for what is no source of sound."""
    if isinstance(source, Mapping) and "array" in source:
        return OptionError("a sound is a path, a binary file, bytes or an array, got a record of "
                           "them: give its 'array', and its rate as sample_rate")
    kind = type(source).__name__
    return OptionError(f"a sound is a path, a binary file, bytes or an array, got {kind}")


def checked(samples: ArrayLike | bytes) -> np.ndarray:
    """Samples as (n_samples,) or (n_samples, n_channels), of float or int16."""
    if is_bytes(samples):
        data = bytes(samples)
        if len(data) % 2:
            raise OptionError(f"{len(data)} bytes are no whole number of 16-bit samples")
        return np.frombuffer(data, "<i2").astype(np.int16)
    if not is_array(samples):
        raise OptionError(f"samples are an array, or bytes of int16, got {type(samples).__name__}")
    found = _array(samples)
    if found.dtype.kind == "i" and found.dtype.itemsize == 2:
        found = found.astype(np.int16, copy=False)  # of either order of bytes
    if found.size and found.dtype != np.int16 and found.dtype.kind != "f":
        raise OptionError(f"samples are of type {found.dtype}, must be float in [-1, 1] or int16: "
                          "scale them first")
    return oriented(found)


def _array(samples: Any) -> np.ndarray:
    """An array of what may be one; OptionError where it is none."""
    try:
        if isinstance(samples, tuple | list) and len(samples) == 2 and (
            sum(isinstance(each, Real) for each in samples) == 1
        ):
            raise OptionError("got samples and their rate in one: give the samples, and their rate "
                              "as sample_rate")
        if isinstance(samples, np.ma.MaskedArray) and np.ma.is_masked(samples):
            raise OptionError("some samples are masked: fill them first, as by .filled(0)")
        return np.asarray(samples)
    except (ValueError, TypeError, RuntimeError) as error:  # of foreign arrays, too
        if isinstance(error, OptionError):
            raise
        why = ("its parts are of different lengths: join pieces by np.concatenate"
               if isinstance(samples, list | tuple) else error)
        kind = type(samples).__name__
        raise OptionError(f"this {kind} is no array of samples: {why}") from error


def mono(
    samples: np.ndarray, name: str, channel: int | None = None, n_before: int = 0
) -> Samples:
    """Return one channel, or the mean of all, as float32; `n_before` samples came earlier."""
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / np.float32(32768)
    elif not (finite := np.isfinite(samples)).all():
        at = tuple(np.argwhere(~finite)[0])
        raise FormatError(f"sample {n_before + at[0]} is {samples[at]}, must be finite", name)
    elif samples.size and (loudest := float(max(samples.max(), -samples.min()))) > LOUDEST:
        raise FormatError(f"a sample of float is {loudest:g}, must lie within [-1, 1]", name)
    samples = samples.astype(np.float32, copy=False)
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channel is not None and channel > n_channels:
        raise FormatError(f"has {n_channels} channels, channel {channel} is asked for", name)
    if samples.ndim == 1:
        return samples
    if channel is not None or n_channels == 1:
        return np.ascontiguousarray(samples[:, (channel or 1) - 1])
    return samples.mean(axis=1, dtype=np.float32)
