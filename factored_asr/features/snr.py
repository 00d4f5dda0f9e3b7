"""The signal-to-noise ratio of a sound, estimated from the sound alone.

Two Gaussians of noise and of speech in noise are fitted to the levels of the frames, as in
voice.py. The ratio is that of their mean powers, the noise taken off the speech (compare NIST's
STNR). A rule of mixing that takes the loudest blocks gives a few decibels more or less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factored_asr.features.normalisation import MIN_RANGE, min_range
from factored_asr.features.options import FeatureOptions
from factored_asr.features.voice import checked_levels, histogram_of, two_levels

LEAST, MOST = -10.0, 60.0  # dB: below, speech cannot be told from noise; above, there is none
FULL_SCALE = 20 * np.log10(32768.0)  # the front end takes samples of 16 bits
MIN_LEVELS = 10  # frames that are not digital silence: fewer have no two Gaussians


def estimate_snr(levels: NDArray[np.floating]) -> float:
    """Return the signal-to-noise ratio, dB, within LEAST and MOST; MOST for digital silence.

    `levels` is (n_frames,), finite, in dB of full scale: of `LevelStream` or `cepstral_levels`.

    >>> rng = np.random.default_rng(0)
    >>> estimate_snr(np.append(rng.normal(-60, 2, 300), rng.normal(-40, 2, 200))).__round__()
    20
    """
    histogram = histogram_of(checked_levels(levels, np.float64))
    if histogram.sum() < MIN_LEVELS:
        return MOST
    (noise, speech), _ = two_levels(histogram)
    above = max(10 ** ((speech - noise) / 10) - 1, 1e-9)
    return float(np.clip(10 * np.log10(above), LEAST, MOST))


def cepstral_levels(cepstra: NDArray[np.floating], options: FeatureOptions) -> np.ndarray:
    """Return the levels of frames by their c0, (n_frames,), in dB of full scale or near it.

    `cepstra` are of a front end with these options, before any mean is taken off. Where it removes
    noise, the levels are those of what is left.
    """
    log_power = np.asarray(cepstra, np.float64)[:, 0] / (min_range(options) / MIN_RANGE)
    return 10 / np.log(10) * log_power - FULL_SCALE
