"""Deltas and splices: how the cepstra move over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factored_asr.features.options import FeatureOptions

Array = NDArray[np.float32]


def delta_kernels(options: FeatureOptions) -> tuple[NDArray[np.float64], ...]:
    """Return weights over the frames around one, for each order from the static cepstra on.

    Each order has 2 * lookahead + 1 weights. A splice has one order a neighbour, from the earliest
    to the latest, each a weight of 1. A plain difference is c[t + w] - c[t - w], and the second
    order is the difference of two deltas one frame to each side (Sphinx's 1s_c_d_dd). The
    regression is equation 5.16 of the HTK book, the second order the same over the first.
    """
    if options.splice:
        return tuple(np.eye(2 * options.splice + 1))
    window = options.delta_window
    if options.delta == "difference":
        first = np.zeros(2 * window + 1)
        first[[0, -1]] = -1, 1
        step = np.array([-1.0, 0.0, 1.0])
    else:
        first = np.arange(-window, window + 1, dtype=np.float64)
        first /= (first**2).sum()
        step = first
    kernels = [np.ones(1), first, np.convolve(first, step)][: options.streams.count("_")]
    widest = len(kernels[-1])
    return tuple(np.pad(kernel, (widest - len(kernel)) // 2) for kernel in kernels)


def apply_kernels(cepstra: Array, kernels: tuple[NDArray[np.float64], ...]) -> Array:
    """Return features (n_frames - 2 * lookahead, n_orders * n_cepstra) from padded cepstra."""
    n_taps = len(kernels[0])
    n_frames = max(0, len(cepstra) - n_taps + 1)
    orders = np.zeros((n_frames, len(kernels), cepstra.shape[1]), dtype=np.float32)
    for order, kernel in enumerate(kernels):
        for tap in np.flatnonzero(kernel):
            orders[:, order] += np.float32(kernel[tap]) * cepstra[tap : tap + n_frames]
    return orders.reshape(n_frames, len(kernels) * cepstra.shape[1])
