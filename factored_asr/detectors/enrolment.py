"""Enrolment of a keyword: a verifier that a few recordings of it teach.

The pronunciation finds places where the keyword may be. Logistic regression then tells the keyword
of the recordings from the places in speech and noise where it fits by chance. It weighs each phone
on its own, what else fits in the phone's place, durations, and the encoder's vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.network.encoder import HOP
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.audio.mixing import add_noise
from factored_asr.detectors.background import (
    LAST,
    SAID_AN_HOUR,
    STRETCH,
    Background,
    Tail,
    fit_tail,
    pooled_slope,
    random_rows,
)
from factored_asr.detectors.classifier import Classifier, fit
from factored_asr.detectors.frames import AGAIN, DETECTION, whole_frames
from factored_asr.detectors.spotting import PhoneRow, Spot, n_values, places
from factored_asr.errors import OptionError

NAMES = ("other", "keyword")
SNR = 10.0
"""Decibels of the noise in which copies of each recording are."""
N_VOICES = 6
"""Of computed babble."""
AROUND_SECONDS = 1.0
"""Of silence before and after each recording."""
LEARNT, JUDGED = 300, 60
"""Places of an hour of background that a verifier learns from, and those of them that it judges
later: the best."""
N_RANDOM, RANDOM_SHARE = 30, 6
"""Random rows of phones whose places are learnt from, too: of each the best sixth. One keyword has
few close places in an hour; others show how close places look, and how rare they are."""
PENALTY = 30.0
"""Of learning, as for `classifier.fit`."""
AHEAD = DETECTION.right + DETECTION.new // 2
"""Frames of sound after a keyword when a stream finds it, on average."""
FEWEST = 3
"""Recordings of a keyword."""


@dataclass(frozen=True, eq=False)
class Verifier:
    """Judges places where the pronunciation of a keyword fits."""

    candidate: float
    """Ratio from which on a place is judged."""
    classifier: Classifier
    """Of `PhoneRow.values`."""
    tail: Tail
    """Of the log-odds of places without the keyword."""
    said: float
    """What turns the odds of the recordings into those of a stream, natural log."""

    def score(self, values: np.ndarray) -> float:
        """Return the log-odds of a place to be the keyword, among those that were learnt from."""
        return float(log_odds(self.classifier, values[None])[0])

    def probability(self, score: float) -> float:
        """Return the probability of a place of this score to be the keyword."""
        return float(1 / (1 + np.exp(-np.clip(score + self.said, -50, 50))))


def arrays_of(made: Verifier) -> dict[str, np.ndarray]:
    """Return a verifier as arrays, of which `verifier_of` makes it again."""
    given = made.classifier
    facts = (made.candidate, made.tail.level, made.tail.slope, made.said)
    return {"facts": np.array(facts), "mean": given.mean, "scale": given.scale,
            "weights": given.weights, "bias": given.bias}


def verifier_of(values: Mapping[str, np.ndarray], n_phones: int, n_parts: int) -> Verifier:
    """Return the verifier of `arrays_of`, of a keyword of so many phones.

    Raises KeyError where an array is missing, ValueError where they do not fit.
    """
    candidate, level, slope, said = (float(each) for each in values["facts"])
    mean, scale, weights, bias = (np.asarray(values[name], np.float32)
                                  for name in ("mean", "scale", "weights", "bias"))
    n = n_values(n_phones, n_parts)
    if mean.shape != (n,) or scale.shape != (n,) or weights.shape != (n, 2) or bias.shape != (2,):
        raise ValueError(f"the weights are not of {n_phones} phones and {n_parts} components")
    if not all(np.isfinite(each).all() for each in values.values()) or min(slope, *scale) <= 0:
        raise ValueError("a value is not finite, or a scale is not above 0")
    return Verifier(candidate, Classifier(NAMES, mean, scale, weights, bias), Tail(level, slope),
                    said)


def log_odds(made: Classifier, x: np.ndarray) -> np.ndarray:
    """Return the log-odds of the second of two classes, (n,)."""
    odds: np.ndarray = (x - made.mean) / made.scale @ (made.weights[:, 1] - made.weights[:, 0])
    return odds + (made.bias[1] - made.bias[0])


def learn(
    pronunciation: PhoneRow, recordings: Sequence[np.ndarray], model: NetworkModel,
    background: Background, noises: Sequence[np.ndarray] = (),
) -> Verifier:
    """Learn the verifier of a keyword; parameters and errors are those of `KeywordDetector.enrol`.

    The threshold comes from each kind of sound in the background, judged by what the other kinds
    teach. What a stream brings is of a kind that the verifier has not heard, too.
    """
    if len(recordings) < FEWEST:
        raise OptionError(f"{len(recordings)} recordings of a keyword, must be {FEWEST} or more")
    hours = len(background.log_probs) * model.frame_seconds / 3600
    n_places = max(round(LEARNT * hours), LAST)
    own = others(pronunciation, background, n_places)
    rows = random_rows(background.log_probs, len(pronunciation.columns), N_RANDOM)
    pool = [others(PhoneRow([model.phones[i - 1] for i in row], model.phones,
                            pronunciation.longest), background, n_places) for row in rows]
    close = _joined([each.first(n_places // RANDOM_SHARE) for each in pool])
    said = np.array([_said(pronunciation, each, model, background)
                     for each in _copies(recordings, noises)])

    def learnt(but: int | None = None) -> Classifier:
        x = np.concatenate([said, own.but(but), close.but(but)])
        return fit(x, np.repeat([1, 0], [len(said), len(x) - len(said)]), NAMES, penalty=PENALTY)

    scores = [np.empty(len(each.values)) for each in (own, *pool)]
    for kind in np.unique(_joined([own, *pool]).kinds):
        other = learnt(kind)
        for each, score in zip((own, *pool), scores, strict=True):
            score[each.kinds == kind] = log_odds(other, each.values[each.kinds == kind])
    tail = fit_tail(scores[0], hours, pooled_slope(scores[1:], hours))
    taught = len(said) / (len(own.values) + len(close.values))
    expected = SAID_AN_HOUR * hours / len(own.values)  # odds of a keyword in a stream
    candidate = own.values[n_places * JUDGED // LEARNT, 0]
    return Verifier(float(candidate), learnt(), tail, float(np.log(expected / taught)))


@dataclass(frozen=True, eq=False)
class Places:
    """Places in a background, best first."""

    values: np.ndarray
    """(n_places, n_values)."""
    kinds: np.ndarray
    """(n_places,): the kind of sound that each is in."""

    def first(self, n: int) -> Places:
        """The best ones."""
        return Places(self.values[:n], self.kinds[:n])

    def but(self, kind: int | None) -> np.ndarray:
        """The values, those in a kind of sound left out."""
        return self.values if kind is None else self.values[self.kinds != kind]


def _joined(places: Sequence[Places]) -> Places:
    return Places(np.concatenate([each.values for each in places]),
                   np.concatenate([each.kinds for each in places]))


def others(pronunciation: PhoneRow, background: Background, n_places: int) -> Places:
    """Return the best places in a background, a second apart."""
    found = places(pronunciation, background.log_probs, STRETCH, -np.inf)[:n_places]
    values = [_values(pronunciation, background.log_probs, background.parts, each)
              for each in found]
    return Places(np.array(values), background.kinds(np.array([each.end for each in found])))


def _copies(recordings: Sequence[np.ndarray], noises: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each recording as it is, in noise, and in babble of the others, turned round in time."""
    copies = []
    quiet = np.zeros(round(AROUND_SECONDS * NetworkModel.sample_rate), np.float32)
    clips = [np.asarray(each, np.float32) for each in recordings]
    for number, samples in enumerate(clips):
        if not samples.any():
            raise OptionError(f"recording {number + 1} of a keyword is silent")
        around = np.concatenate([quiet, samples, quiet])
        rng = np.random.default_rng(number)
        under = [pink(len(around), rng), _babble(clips, number, len(around), rng)]
        under += [_piece(np.asarray(each, np.float32), len(around), rng) for each in noises]
        copies += [around, *(add_noise(around, each, SNR) for each in under if each.any())]
    return copies


def _piece(noise: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    return np.resize(np.roll(noise, -int(rng.integers(len(noise)))), n_samples)


def _babble(clips: Sequence[np.ndarray], but: int, n_samples: int, rng: np.random.Generator
            ) -> np.ndarray:
    """Other recordings, turned round in time, at once."""
    others = [i for i in range(len(clips)) if i != but]
    total = np.zeros(n_samples, np.float32)
    for i in rng.choice(others, N_VOICES):
        loud = max(float(np.abs(clips[i]).max()), 1e-6)
        total += _piece(clips[i][::-1] / loud, n_samples, rng)
    return total


def pink(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise whose power falls off with frequency, (n_samples,) float32."""
    spectrum = np.fft.rfft(rng.normal(size=n_samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return np.fft.irfft(spectrum, n_samples).astype(np.float32)


def _said(pronunciation: PhoneRow, samples: np.ndarray, model: NetworkModel,
          background: Background) -> np.ndarray:
    """The values of the best place of a keyword in its recording, computed as a stream does."""
    found = places(pronunciation, whole_frames(model, samples).log_probs, len(samples), -np.inf)[0]
    end = (found.end + 1 + AHEAD) * HOP
    begin = max(0, found.end + 1 - max(AGAIN, pronunciation.longest)) * HOP
    block = whole_frames(model, samples[begin:end])
    n_frames = len(block.log_probs)
    best = places(pronunciation, block.log_probs, n_frames, -np.inf)[0]
    return _values(pronunciation, block.log_probs, background.components(block.hidden), best)


def _values(pronunciation: PhoneRow, log_probs: np.ndarray, parts: np.ndarray, place: Spot
            ) -> np.ndarray:
    here = slice(place.begin, place.end + 1)
    return pronunciation.values(log_probs[here], parts[here], place.ratio)
