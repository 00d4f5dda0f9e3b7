"""Channels: which axis of an array they are, and whether they cancel each other."""

from __future__ import annotations

import numpy as np

from factored_asr.errors import OptionError

MAX_CHANNELS = 8  # of an array: a longer axis is time
OPPOSED = -0.8  # correlation of two channels below which their mean is no speech


def oriented(samples: np.ndarray) -> np.ndarray:
    """Return samples as (n_samples,) or (n_samples, n_channels).

    Of two axes the one of at most `MAX_CHANNELS` is that of the channels, the second where both
    are so short. Raises OptionError where neither is, or for another number of axes.

    >>> oriented(np.zeros((2, 16000))).shape, oriented(np.zeros((16000, 1))).shape
    ((16000, 2), (16000, 1))
    """
    if samples.ndim == 1:
        return samples
    law = "must be (n_samples,), (n_samples, n_channels) or (n_channels, n_samples)"
    if samples.ndim != 2 or 0 in samples.shape[1:]:
        raise OptionError(f"samples have shape {samples.shape}, {law}")
    if samples.shape[1] <= MAX_CHANNELS:
        return samples
    if samples.shape[0] <= MAX_CHANNELS and samples.shape[0]:
        return samples.T
    raise OptionError(f"samples have shape {samples.shape}, {law} with at most {MAX_CHANNELS} "
                      "channels: choose some, or average them")


class Phases:
    """Adds up how alike the channels of a sound are."""

    def __init__(self) -> None:
        self._products: np.ndarray | None = None

    def add(self, block: np.ndarray) -> None:
        """Take a block, (k, n_channels), or (k,) of a sound with one channel."""
        if block.ndim == 1 or not 1 < block.shape[1] <= MAX_CHANNELS:
            return
        wide = block.astype(np.float64)
        products = wide.T @ wide
        self._products = products if self._products is None else self._products + products

    def opposed(self) -> str:
        """Say which two channels cancel each other in their mean; empty where none do."""
        if self._products is None:
            return ""
        size = np.sqrt(np.diag(self._products))
        alike = self._products / np.maximum(np.outer(size, size), 1e-30)
        first, second = np.unravel_index(alike.argmin(), alike.shape)
        if alike[first, second] > OPPOSED:
            return ""
        return (f"channels {first + 1} and {second + 1} are in antiphase (correlation "
                f"{alike[first, second]:.2f}), so that speech in both cancels in their mean: take "
                "one of them (transcribe --channels separate)")
