"""Copies of training speech at other speeds, made from its cepstra.

Sound that is played faster is shorter, and its frequencies are higher. Both are done to cepstra
here, so that a corpus of cepstra has copies, too. Frames are interpolated in time, and the smooth
spectrum that the cepstra describe is moved along its frequencies.

Source: T. Ko and others (2015), "Audio augmentation for speech recognition", Interspeech.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.features.mel import cepstral_transform, mel_filters
from factored_asr.training.data import TrainingData


def at_speed(cepstra: np.ndarray, speed: float, options: FeatureOptions) -> np.ndarray:
    """Return cepstra, (n_frames, n_cepstra), as of the sound played at another speed.

    Above 1 is faster: fewer frames, higher frequencies. The result has n_frames / speed frames.

    Raises OptionError for a speed outside of 0.5 to 2.

    Examples
    --------
    >>> options = FeatureOptions(normalisation="none")
    >>> flat = np.zeros((100, 13), np.float32)
    >>> flat[:, 0] = 7
    >>> faster = at_speed(flat, 1.25, options)
    >>> faster.shape, bool(np.allclose(faster, flat[:80], atol=1e-3))
    ((80, 13), True)
    """
    if not 0.5 <= speed <= 2:
        raise OptionError(f"speed must lie in 0.5 to 2, got {speed}")
    n_frames = max(1, int(len(cepstra) / speed))
    at = np.minimum(np.arange(n_frames) * speed, len(cepstra) - 1)
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, len(cepstra) - 1)
    share = (at - before)[:, None].astype(np.float32)
    moved = cepstra[before] * (1 - share) + cepstra[after] * share
    return (moved @ warp(speed, options)).astype(np.float32)


def warp(speed: float, options: FeatureOptions) -> np.ndarray:
    """Return the matrix, (n_cepstra, n_cepstra), that moves spectra of row vectors of cepstra."""
    to_cepstra = cepstral_transform(options)
    filters = mel_filters(options)
    centre = np.arange(len(filters)) @ filters / filters.sum(axis=0)
    n = len(centre)
    at = np.interp(centre / speed, centre, np.arange(n))
    below = np.minimum(np.floor(at).astype(int), n - 2)
    channels = np.zeros((n, n))  # of the old spectrum to channels of the new one
    channels[below, np.arange(n)] = 1 - (at - below)
    channels[below + 1, np.arange(n)] += at - below
    return np.linalg.pinv(to_cepstra) @ channels @ to_cepstra


def speed_copies(data: TrainingData, speeds: Sequence[float]) -> list[TrainingData]:
    """Return the data at each speed; a speaker at another speed is another speaker."""
    copies = []
    for speed in speeds:
        if speed == 1:
            copies.append(data)
            continue
        utterances = tuple(
            replace(each, id=f"{each.id}*{speed:g}", speaker=f"{each.speaker}*{speed:g}")
            for each in data.utterances)
        cepstra = tuple(at_speed(each, speed, data.options) for each in data.cepstra)
        copies.append(replace(data, utterances=utterances, cepstra=cepstra))
    return copies
