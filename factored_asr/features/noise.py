"""Noise removal in mel bands, frame by frame, with the constants of Sphinx.

The noise is the lower envelope of each band's smoothed power (G. Doblinger, "Computationally
efficient speech enhancement by spectral minima tracking", Eurospeech 1995). What is left is held
above a floor and above the echo of the last peak (temporal masking: C. Kim and R. Stern, 2012); the
gains are smoothed over neighbouring bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SMOOTHING = 0.7  # of the power, weight of the frame before
RISE = 0.995  # of a lower envelope, weight of the frame before where the signal lies above it
FALL = 0.5  # the same where the signal lies below
FORGETTING = 0.85  # of a peak, each frame
MASKED = 0.2  # share of the peak that stands where the signal is masked by it
MAX_GAIN = 20.0
NEIGHBOURS = 4  # bands to each side that a gain is averaged over


class NoiseRemover:
    """Takes the noise off mel powers; keeps its state between calls, so chunks are possible."""

    def __init__(self, n_mels: int):
        distance = np.abs(np.subtract.outer(np.arange(n_mels), np.arange(n_mels)))
        near = (distance <= NEIGHBOURS).astype(np.float64)
        self._smoother = near / near.sum(axis=0)
        self._power: Array | None = None  # (n_mels,) of the last frame, None before the first
        self._noise = self._floor = self._peak = np.zeros(n_mels)

    def __call__(self, powers: Array) -> Array:
        """Return mel powers (n_frames, n_mels) with the noise taken off."""
        if len(powers) == 0:
            return powers
        if self._power is None:
            self._power = powers[0]
            self._noise = self._floor = powers[0] / MAX_GAIN
        power = _smoothed(powers, self._power)
        noise = _lower_envelope(power, self._noise)
        signal = np.maximum(power - noise, 1.0)
        floor = _lower_envelope(signal, self._floor)
        echo, self._peak = _fading_peaks(signal, self._peak)
        signal = np.where(signal < FORGETTING * echo, MASKED * echo, signal)
        np.maximum(signal, floor, out=signal)
        self._power, self._noise, self._floor = power[-1], noise[-1], floor[-1]
        with np.errstate(divide="ignore"):  # digital silence: any gain will do, nothing is there
            gain = np.clip(signal / power, 1 / MAX_GAIN, MAX_GAIN)
        return powers * (gain @ self._smoother)


def _smoothed(values: Array, start: Array) -> Array:
    """Return the running mean of each band, from the mean before the first frame."""
    new, mean = (1 - SMOOTHING) * values, np.empty_like(values)
    last, multiply, add = start, np.multiply, np.add
    for step, out in zip(new, mean, strict=True):
        last = add(multiply(last, SMOOTHING, out=out), step, out=out)
    return mean


def _lower_envelope(values: Array, start: Array) -> Array:
    """Follow values upwards slowly and downwards fast, from the envelope before the first frame.

    The slow mean is the smaller of the two where the value lies above the envelope, else the fast
    one is: no comparison is needed.
    """
    slow, fast = (1 - RISE) * values, (1 - FALL) * values
    rise, fall, envelope = np.empty_like(start), np.empty_like(start), np.empty_like(values)
    last = start
    multiply, add, minimum = np.multiply, np.add, np.minimum
    for slow_step, fast_step, out in zip(slow, fast, envelope, strict=True):
        add(multiply(last, RISE, out=rise), slow_step, out=rise)
        add(multiply(last, FALL, out=fall), fast_step, out=fall)
        last = minimum(rise, fall, out=out)
    return envelope


def _fading_peaks(values: Array, start: Array) -> tuple[Array, Array]:
    """Return the fading peak before each frame, and the peak after the last one."""
    echoes, peak = np.empty_like(values), start.copy()
    multiply, maximum = np.multiply, np.maximum
    for value, echo in zip(values, echoes, strict=True):
        multiply(peak, FORGETTING, out=echo)
        maximum(echo, value, out=peak)
    return echoes, peak
