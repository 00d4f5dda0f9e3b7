"""How far the speech of a sound stands above its noise, from nothing but the sound.

The levels of a sound's frames are taken for two Gaussians, as in voice.py: those of the noise and
those of speech in it. The distance of their means, the noise taken off the speech as power, is the
ratio. It is the ratio of typical frames; a rule of mixing that goes by the loudest block of
either says a few decibels more or less (compare NIST's STNR, a histogram read in the same way).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factored_asr.errors import OptionError
from factored_asr.features.normalisation import MIN_RANGE, min_range
from factored_asr.features.options import FeatureOptions
from factored_asr.features.voice import histogram_of, two_levels

LEAST, MOST = -10.0, 60.0  # dB: below, speech cannot be told from noise; above, there is none
FULL_SCALE = 20 * np.log10(32768.0)  # the front end hears samples of 16 bits
MIN_LEVELS = 10  # frames that are not digital silence: fewer have no two Gaussians


def estimate_snr(levels: NDArray[np.floating]) -> float:
    """Signal-to-noise ratio, dB, within LEAST and MOST; MOST where all is digital silence.

    Parameters
    ----------
    levels
        (n_frames,) in dB of full scale, as `LevelStream` or `cepstral_levels` gives them.

    Raises
    ------
    OptionError
        A level is not finite, or they have another shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> estimate_snr(np.append(rng.normal(-60, 2, 300), rng.normal(-40, 2, 200))).__round__()
    20
    """
    levels = np.asarray(levels, np.float64)
    if levels.ndim != 1 or not np.isfinite(levels).all():
        raise OptionError(f"levels must be finite and of one dimension, have {levels.shape}")
    histogram = histogram_of(levels)
    if histogram.sum() < MIN_LEVELS:
        return MOST
    (noise, speech), _ = two_levels(histogram)
    above = max(10 ** ((speech - noise) / 10) - 1, 1e-9)
    return float(np.clip(10 * np.log10(above), LEAST, MOST))


def cepstral_levels(cepstra: NDArray[np.floating], options: FeatureOptions) -> np.ndarray:
    """(n_frames,): the frames' levels in dB, about of full scale, as c0 has them.

    Parameters
    ----------
    cepstra
        (n_frames, n_cepstra) of the front end with these options, before any mean is taken off.
        Where it removes noise, so is the ratio that of what is left.
    """
    log_power = np.asarray(cepstra, np.float64)[:, 0] / (min_range(options) / MIN_RANGE)
    return 10 / np.log(10) * log_power - FULL_SCALE
