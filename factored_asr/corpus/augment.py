"""Copies of speech in noise, to train on (multi-style training: R. Lippmann and others,
"Multi-style training for robust isolated-word speech recognition", 1987).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.audio.mixing import add_noise
from factored_asr.errors import OptionError

SPREAD = 12.0  # dB


@dataclass(frozen=True)
class NoiseMix:
    """How much noise is added, and how often."""

    snrs: tuple[tuple[float, float], ...] = ((13.0, 25.0), (4.0, 13.0), (4.0, 10.0))
    """One copy of every utterance for each range. Its ratio of speech to noise is drawn from the
    range, dB between the loudest blocks of both."""
    clean: bool = True
    """Keep a copy without noise, too."""
    second: float = 0.5
    """Share of the copies that have two of the noises at once, 0 to 1, where there are several."""
    seed: int = 0
    """Selects noises, places in them and ratios, together with the utterance's id."""

    def __post_init__(self) -> None:
        if not self.snrs and not self.clean:
            raise OptionError("neither clean speech nor any in noise: nothing would be left")
        if not 0 <= self.second <= 1:
            raise OptionError(f"second is {self.second}, must lie in [0, 1]")
        for low, high in self.snrs:
            if not -np.inf < low <= high < np.inf:
                raise OptionError(f"a range of SNRs must ascend, got {low} to {high} dB")


def noisy_copies(
    samples: np.ndarray, noises: Sequence[np.ndarray], options: NoiseMix | None = None,
    name: str = "",
) -> list[np.ndarray]:
    """Return copies of a sound: clean if `options.clean`, then in noise, one for each range.

    Each copy has one of the noises, or two: (n_samples,) at the sound's rate, repeated where the
    sound is longer. The same `name` (the utterance's id), noises and options give the same copies.
    Raises OptionError if a noise is empty or silent, or there is none.
    """
    options = options or NoiseMix()
    rng = np.random.default_rng([options.seed, zlib.crc32(name.encode(errors="surrogateescape"))])
    ratios = [rng.uniform(low, high) for low, high in options.snrs]
    return [samples] * options.clean + [
        _over(samples, _drawn(noises, len(samples), options.second, rng), ratio)
        for ratio in ratios
    ]


def _over(samples: np.ndarray, cut: np.ndarray, snr: float) -> np.ndarray:
    return add_noise(samples, cut, snr) if np.any(cut) and np.any(samples) else samples


def cut_from(noise: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random piece of a noise, (n_samples,); a shorter noise is repeated."""
    if not len(noise) or not np.any(noise):
        raise OptionError("the noise is empty or silent: it cannot be scaled to a ratio")
    noise = np.tile(noise, -(-(n_samples + 1) // len(noise)))
    begin = int(rng.integers(0, len(noise) - n_samples))
    return noise[begin : begin + n_samples]


def _drawn(
    noises: Sequence[np.ndarray], n_samples: int, second: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a piece of one noise, or of two, the second up to SPREAD dB louder or softer."""
    if len(noises) == 1:
        return cut_from(noises[0], n_samples, rng)
    if not noises:
        raise OptionError("there is no noise to mix into speech")
    first, then = (noises[int(i)] for i in rng.integers(len(noises), size=2))
    alone = rng.random() >= second
    one = cut_from(first, n_samples, rng)
    if alone:
        return one
    other = cut_from(then, n_samples, rng)
    louder = np.sqrt(np.mean(one**2) / max(np.mean(other**2), 1e-20))
    return one + other * louder * 10 ** (rng.uniform(-SPREAD, SPREAD) / 20)
