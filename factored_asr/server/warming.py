"""Sound that is taken for speech, so that a server has run all of its code before it listens.

Kernels are loaded when they are first called. What runs for words alone would else be loaded by
each worker in its own memory, while its first client waits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.server.modes import Mode
from factored_asr.server.options import BLOCK_SECONDS

VOWELS = ((730, 1090), (270, 2290), (300, 870), (530, 1840))
"""First and second formant, Hz."""
PITCH, THIRD_FORMANT, BANDWIDTH = 120.0, 2800.0, 80.0  # Hz


def babble(rate: int) -> np.ndarray:
    """Return vowels and hisses in turn, (n_samples,) float32 at `rate` Hz, 2.5 s.

    Examples
    --------
    >>> sound = babble(16000)
    >>> sound.dtype, len(sound) / 16000 > 2, float(abs(sound).max()) < 0.5
    (dtype('float32'), True, True)
    """
    rng, time = np.random.default_rng(0), np.arange(round(0.15 * rate)) / rate
    harmonics = np.arange(PITCH, 4200.0, PITCH)
    waves, parts = np.sin(2 * np.pi * np.outer(time, harmonics)), [np.zeros(rate // 5)]
    for formants in VOWELS * 2:
        gains = sum(1 / (1 + ((harmonics - each) / BANDWIDTH) ** 2)
                    for each in (*formants, THIRD_FORMANT))
        parts += [waves @ gains * np.hanning(len(time)), np.zeros(rate // 25),
                  rng.normal(0, 0.4, rate // 25)]
    sound = np.concatenate([*parts, np.zeros(rate // 2)])
    return (0.4 * sound / np.abs(sound).max() + rng.normal(0, 1e-3, len(sound))).astype(np.float32)


def warm_up(mode: Mode, sound: np.ndarray) -> None:
    """Recognise a sound, at the rate of a mode, as its stream, without rejection.

    The searches drop steps that no path needs any more, as long ones do.
    """
    beam = replace(mode.pipeline.options.beam, history_steps=16)
    options = replace(mode.pipeline.options, beam=beam)
    easy = replace(mode, pipeline=replace(mode.pipeline, background=None, options=options))
    stream = easy.stream()
    for block in np.array_split(sound, round(len(sound) / mode.rate / BLOCK_SECONDS)):
        stream.accept(block)
        stream.partial(early=True)
    stream.finish()
