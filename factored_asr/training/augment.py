"""Training speech in noise: each utterance clean, and again with noise added.

What a model is to hear in a kitchen it should have heard in one (multi-style training: R. Lippmann
and others, "Multi-style training for robust isolated-word speech recognition", 1987). Mean and
level belong to the noisy sound; the alignment of the words is found there anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.audio.mixing import add_noise
from factored_asr.audio.reading import read_audio
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.normalisation import normalise
from factored_asr.training.data import TrainingData

SPREAD = 12.0  # dB


@dataclass(frozen=True)
class NoiseMix:
    """How much noise is added, and how often."""

    snrs: tuple[tuple[float, float], ...] = ((13.0, 25.0), (4.0, 13.0), (4.0, 10.0))
    """A copy of every utterance for each range, its ratio of speech to noise drawn from the range,
    dB between the loudest blocks of both."""
    clean: bool = True
    """Whether the utterance itself stays among them."""
    second: float = 0.5
    """Share of the copies that have two of the noises at once, 0 to 1, where there are several."""
    seed: int = 0
    """Of the noises, the places in them and the ratios, which also depend on the utterance's
    name."""

    def __post_init__(self) -> None:
        if not self.snrs and not self.clean:
            raise OptionError("neither clean speech nor any in noise: nothing would be left")
        if not 0 <= self.second <= 1:
            raise OptionError(f"second is {self.second}, must lie in [0, 1]")
        for low, high in self.snrs:
            if not -np.inf < low <= high < np.inf:
                raise OptionError(f"a range of SNRs must ascend, got {low} to {high} dB")


def noisy_data(
    corpus: Corpus,
    noise: np.ndarray | Sequence[np.ndarray],
    features: FeatureOptions | None = None,
    options: NoiseMix | None = None,
) -> TrainingData:
    """The utterances of a corpus clean and in noise, ready to train on or to adapt to.

    Parameters
    ----------
    corpus
        Of audio; it holds the stretches that are spoken.
    noise
        (n_samples,) at the rate of the front end; repeated where an utterance is longer. Or
        several of these: each copy has one of them, or two, drawn anew.

    Raises
    ------
    OptionError
        A noise is empty or silent, or there is none.
    FormatError
        Audio that cannot be read.
    """
    options, features = options or NoiseMix(), features or FeatureOptions()
    noises = [noise] if isinstance(noise, np.ndarray) else list(noise)
    front_end, utterances, cepstra = FrontEnd(features), list[Utterance](), list[np.ndarray]()
    for utterance in corpus.utterances:
        samples, rate = read_audio(utterance.path, sample_rate=features.sample_rate)
        rng = np.random.default_rng([options.seed, zlib.crc32(utterance.id.encode())])
        ratios = [rng.uniform(low, high) for low, high in options.snrs]
        sounds = [samples] * options.clean + [
            _over(samples, _drawn(noises, len(samples), options.second, rng), ratio)
            for ratio in ratios
        ]
        first = round(utterance.start / features.frame_shift)
        last = None if utterance.end is None else round(utterance.end / features.frame_shift)
        for number, sound in enumerate(sounds):
            utterances.append(replace(utterance, id=f"{utterance.id}-{number}"))
            # The mean is that of the whole file, as it is where commands are decoded.
            cepstra.append(normalise(front_end.cepstra(sound), features)[first:last])
    return TrainingData(tuple(utterances), tuple(cepstra), features)


def in_noise(
    samples: np.ndarray, noise: np.ndarray, snr: float, rng: np.random.Generator
) -> np.ndarray:
    """A sound in a piece of noise drawn at random; the sound alone where either is silent.

    Parameters
    ----------
    samples, noise
        (n_samples,) of one rate.
    snr
        As for `mix`, dB.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> speech, noise = rng.normal(0, 0.1, (2, 16000))
    >>> float(abs(in_noise(speech, noise, 10.0, rng)).max())
    0.5
    """
    return _over(samples, cut_from(noise, len(samples), rng), snr)


def _over(samples: np.ndarray, cut: np.ndarray, snr: float) -> np.ndarray:
    return add_noise(samples, cut, snr) if np.any(cut) and np.any(samples) else samples


def cut_from(noise: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of a noise at random, (n_samples,); the noise is repeated where it is too short."""
    if not len(noise) or not np.any(noise):
        raise OptionError("the noise is empty or silent: it cannot be scaled to a ratio")
    noise = np.tile(noise, -(-(n_samples + 1) // len(noise)))
    begin = int(rng.integers(0, len(noise) - n_samples))
    return noise[begin : begin + n_samples]


def _drawn(
    noises: Sequence[np.ndarray], n_samples: int, second: float, rng: np.random.Generator
) -> np.ndarray:
    """A piece of one of the noises, or of two, the other up to SPREAD dB louder or softer."""
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
