"""Noise taken off the power spectrum, frame by frame, before the mel bands.

The noise of each bin is tracked through speech by the minima of its smoothed power: where the power
stands well above its minimum there is speech, and the less probable that is, the more of the frame
goes into the noise (I. Cohen, "Noise spectrum estimation in adverse environments: improved minima
controlled recursive averaging", 2003; the constants are the paper's). What is left of a bin then
follows from the ratios of speech to noise before and after the fact (Y. Ephraim and D. Malah, 1984;
1985 for the gain that keeps the logarithm nearest to that of clean speech).

Nothing looks ahead, so a stream gives what the whole sound gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp1

from factored_asr.errors import OptionError

Array = NDArray[np.float64]

SMOOTHING = 0.9  # of the power over time, weight of the frame before
NEIGHBOURS = np.array([0.25, 0.5, 0.25])  # weights of a bin and those beside it
NOISE_SMOOTHING = 0.85  # of the noise where there is no speech
MINIMUM_FRAMES, MINIMUM_PARTS = 15, 8  # the minimum is that of the last 15 x 8 frames
BIAS = 1.66  # by which a mean lies above the minimum
LOUD, ABOVE = 4.6, 1.67  # times the minimum: of one frame's power, of the smoothed power
DOUBTFUL = 3.0  # times the minimum: from here on, surely speech
UNDERRATED = 1.47  # noise by the frames without speech, to that of all frames
DECISION = 0.92  # of the ratio before the fact, weight of the frame before
FLOOR = 10**-2.5  # of the ratio before the fact, -25 dB
LEAST_GAIN = 0.01  # of power, -20 dB: what is left of noise alone
OVER = 2.0  # times the noise that spectral subtraction takes off: one frame's noise varies
TINY = 1e-10  # of a power on the scale of 16-bit samples: keeps digital silence a number


class NoiseTracker:
    """The noise of each bin of power spectra; remembers where it stands between calls.

    Examples
    --------
    >>> tracker, rng = NoiseTracker(3), np.random.default_rng(0)
    >>> for power in rng.exponential(100.0, (300, 3)):
    ...     presence = tracker(power)
    >>> bool((abs(10 * np.log10(tracker.noise / 100)) < 3).all())
    True
    """

    def __init__(self, n_bins: int):
        self.noise = np.zeros(n_bins)
        """(n_bins,): mean power of the noise."""
        self._mean = np.zeros(n_bins)  # noise before UNDERRATED
        self._before = np.zeros(n_bins)  # ratio of power to noise, the frame before
        self._ratio = np.ones(n_bins)
        self._rough: _Minimum | None = None  # of all frames
        self._fine: _Minimum | None = None  # of frames that the rough one takes for noise

    def __call__(self, power: Array) -> Array:
        """Hears a frame, (n_bins,); gives the probability of speech in each bin."""
        power = np.maximum(power, TINY)
        around = np.convolve(power, NEIGHBOURS, "same")
        if self._rough is None or self._fine is None:
            self._rough, self._fine = _Minimum(around), _Minimum(around)
            self._mean = power.copy()
            self.noise = UNDERRATED * power
        smoothed, least = self._rough(around)
        quiet = (power < LOUD * BIAS * least) & (smoothed < ABOVE * BIAS * least)
        weight = np.convolve(quiet, NEIGHBOURS, "same")
        mean = np.convolve(quiet * power, NEIGHBOURS, "same") / np.maximum(weight, TINY)
        _, least = self._fine(np.where(weight > 0, mean, self._fine.smoothed))
        presence = self._presence(power / (BIAS * least), smoothed < ABOVE * BIAS * least, power)
        share = NOISE_SMOOTHING + (1 - NOISE_SMOOTHING) * presence
        self._mean = share * self._mean + (1 - share) * power
        self.noise = UNDERRATED * self._mean
        return presence

    def _presence(self, excess: Array, low: NDArray[np.bool_], power: Array) -> Array:
        absence = np.where(low, np.clip((DOUBTFUL - excess) / (DOUBTFUL - 1), 0, 1), 0)
        after = np.minimum(power / self.noise, 1e3)
        before = _decide(self._before, self._ratio, after)
        gain = before / (1 + before)
        self._before, self._ratio = _log_gain(before, after) ** 2, after
        odds = absence / np.maximum(1 - absence, TINY) * (1 + before) * np.exp(-gain * after)
        return np.where(absence < 1, 1 / (1 + odds), 0)


class _Minimum:
    """Power smoothed over time, and its least value in a sliding window."""

    def __init__(self, start: Array):
        self.smoothed = start
        self._least, self._newest = start, start  # so far, and in the part that is filling
        self._parts = [start] * MINIMUM_PARTS
        self._n_frames = 0

    def __call__(self, power: Array) -> tuple[Array, Array]:
        self.smoothed = SMOOTHING * self.smoothed + (1 - SMOOTHING) * power
        self._least = np.minimum(self._least, self.smoothed)
        self._newest = np.minimum(self._newest, self.smoothed)
        self._n_frames += 1
        if self._n_frames == MINIMUM_FRAMES:
            self._parts = [*self._parts[1:], self._newest]
            self._least = np.minimum.reduce(self._parts)
            self._newest, self._n_frames = self.smoothed, 0
        return self.smoothed, self._least


class Enhancer:
    """Takes the noise off power spectra; remembers where it stands between calls.

    Parameters
    ----------
    n_bins
        Values of a spectrum.
    kind
        ``log_mmse``, ``wiener`` or ``subtraction``: which gain.

    Examples
    --------
    >>> enhancer = Enhancer(3, "wiener")
    >>> enhancer(np.full((200, 3), 100.0))[-1].round()
    array([1., 1., 1.])
    """

    def __init__(self, n_bins: int, kind: str):
        if kind not in ("log_mmse", "wiener", "subtraction"):
            raise OptionError(f"enhancement {kind!r} has no gain")
        self._kind = kind
        self._tracker = NoiseTracker(n_bins)
        self._gain = np.zeros(n_bins)  # of power, in the frame before
        self._ratio = np.ones(n_bins)  # of power to noise there

    def __call__(self, powers: Array) -> Array:
        """Power spectra (n_frames, n_bins), of samples on a 16-bit scale, without the noise."""
        gains = [self._next(power) for power in powers]
        return powers * np.reshape(gains, powers.shape)

    def _next(self, power: Array) -> Array:
        """The gain of one frame, in [LEAST_GAIN, 1]."""
        self._tracker(power)
        after = np.maximum(power, TINY) / self._tracker.noise
        if self._kind == "subtraction":
            return np.clip(1 - OVER / after, LEAST_GAIN, 1)
        before = _decide(self._gain, self._ratio, after)
        gain = _log_gain(before, after) if self._kind == "log_mmse" else before / (1 + before)
        self._gain, self._ratio = np.clip(gain * gain, LEAST_GAIN, 1), after
        return self._gain


def _decide(gain: Array, ratio: Array, after: Array) -> Array:
    """Ephraim and Malah's ratio of speech to noise: what stayed of the last frame, and this one."""
    return np.maximum(DECISION * gain * ratio + (1 - DECISION) * np.maximum(after - 1, 0), FLOOR)


def _log_gain(before: Array, after: Array) -> Array:
    """The gain of amplitude that keeps the logarithm nearest to that of clean speech."""
    wiener = before / (1 + before)
    return np.minimum(wiener * np.exp(0.5 * exp1(np.maximum(wiener * after, 1e-6))), 1.0)
