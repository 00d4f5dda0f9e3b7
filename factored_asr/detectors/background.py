"""How well a keyword fits speech and noise without it: the threshold, and the probability.

An hour of speech of three kinds of speakers, clean and in noise, is shipped as what the network
says of it: log probabilities, in steps of 1/4, no sound. A keyword is spotted in it; the places
where it fits best make the tail of false alarms, which is continued to rates that an hour cannot
show.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from factored_asr.acoustic.network.memory import WIDTH
from factored_asr.errors import FormatError, OptionError
from factored_asr.storage.reading import read_arrays

SHIPPED = Path(__file__).parent / "background.npz"
"""Half an hour of one speaker."""
SHIPPED_KINDS = Path(__file__).parent / "kinds.npz"
"""An hour of three kinds of speakers. tests/bench/wake_words.py makes both files."""
STEPS = 4
"""Of a log probability, natural log, in the file."""
LEAST = -12
"""Lower ones are not told apart."""
N_PARTS, PART_STEPS, MERGED = 16, 16, 2
"""Components that are kept of the encoder's vectors, their steps in a unit, frames of each."""
STRETCH = 42
"""Frames, 1 s, of which only the best place of a keyword counts."""
FIRST, LAST = 4, 25
"""Ranks of the places that make the tail; the very best may be the keyword itself."""
PHONE_SLOPE, FEWEST_PHONES = 0.65, 5
"""Slope of the tail of a keyword, for each of its phones: log of the false alarms for each unit of
the sum of its phones' ratios. It is that of random rows of 5 to 10 phones, whatever their length:
tests/bench/wake_words.py --slope. The tails of shorter keywords are as those of five phones."""
OFTEN, RARE = 20.0, 0.2
"""False alarms an hour of one keyword that an hour shows, and that many keywords together show."""
TRUE_SCALE = 1.0
"""Mean ratio per phone, below 0, of keywords that were said: ratios fall off exponentially."""
SAID_AN_HOUR = 1.0
"""How often a keyword is expected, for its probability."""


@dataclass(frozen=True)
class Tail:
    """False alarms an hour of a keyword from a score s on: ``exp(level - slope · s)``."""

    level: float
    """Natural log of the false alarms an hour from score 0 on."""
    slope: float
    """How fast they become fewer; > 0."""

    def threshold(self, per_hour: float) -> float:
        """Return the score from which on there are so many false alarms an hour."""
        return (self.level - float(np.log(per_hour))) / self.slope

    def probability(self, ratio: float) -> float:
        """Return how probable a place of this ratio is to be the keyword, by Bayes' rule."""
        said = SAID_AN_HOUR / TRUE_SCALE * np.exp(min(ratio, 0.0) / TRUE_SCALE)
        false = self.slope * np.exp(self.level - self.slope * ratio)
        return float(said / (said + false))


def fit_tail(scores: np.ndarray, hours: float, slope: float) -> Tail:
    """Fit the tail to the best scores of each stretch of sound without the keyword.

    Parameters
    ----------
    scores
        (n,): the best of each stretch, in any order.
    hours
        Of sound.
    slope
        Of the tail.

    Raises OptionError where there are too few.

    Examples
    --------
    >>> scores = np.log(np.random.default_rng(0).random(3600)) / -3.3
    >>> 2.0 < fit_tail(scores, 1.0, 3.3).threshold(1.0) < 3.0
    True
    """
    best = np.sort(scores[np.isfinite(scores)])[::-1][FIRST - 1 : LAST]
    if len(best) <= LAST - FIRST:
        raise OptionError(f"too little sound: {len(scores)} stretches, must be {LAST} or more")
    wanted = np.log(np.arange(FIRST, LAST + 1) / hours)
    return Tail(float(wanted.mean() + slope * best.mean()), slope)


def pooled_slope(scores: Sequence[np.ndarray], hours: float) -> float:
    """Return the slope of the tail of many keywords together, from `OFTEN` to `RARE` an hour.

    Parameters
    ----------
    scores
        The best places of each keyword in the same sound without it.
    hours
        Of that sound.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = [np.log(rng.random(300)) / -3.0 - i for i in range(30)]
    >>> 2.0 < pooled_slope(scores, 1.0) < 4.5
    True
    """
    often, rare = max(round(OFTEN * hours), 1), max(round(RARE * hours * len(scores)), 1)
    ordered = [np.sort(each)[::-1] for each in scores]
    beyond = np.concatenate([each - each[min(often, len(each)) - 1] for each in ordered])
    beyond_often = max(float(np.sort(beyond)[::-1][rare - 1]), 1e-3)
    return float(np.log(often * len(scores) / rare)) / beyond_often


def random_rows(log_probs: np.ndarray, n_phones: int, n_rows: int, seed: int = 0) -> np.ndarray:
    """Draw rows of phones, each by the phone before it as in speech.

    Parameters
    ----------
    log_probs
        (n_frames, n_pdfs): the speech; the likeliest phones of its frames are counted.
    n_phones, n_rows
        Of the result.
    seed
        Of the random numbers.

    Returns (n_rows, n_phones) int64, pdfs from 1.
    """
    best = log_probs.argmax(axis=1)
    best = best[np.concatenate([[True], best[1:] != best[:-1]]) & (best > 0)]
    n_pdfs = log_probs.shape[1]
    counts = np.full((n_pdfs, n_pdfs), 1e-3)
    np.add.at(counts, (best[:-1], best[1:]), 1)
    counts[0] += np.bincount(best, minlength=n_pdfs)  # how rows begin
    counts[:, 0] = 0
    shares = (counts / counts.sum(axis=1, keepdims=True)).cumsum(axis=1)
    rng, rows = np.random.default_rng(seed), np.zeros((n_rows, n_phones), np.int64)
    before = np.zeros(n_rows, np.int64)
    for i in range(n_phones):
        before = (rng.random((n_rows, 1)) > shares[before]).sum(axis=1)
        before = np.minimum(before, n_pdfs - 1)
        rows[:, i] = before
    return rows


@dataclass(frozen=True, eq=False)
class Background:
    """What a network says of speech and noise without keywords.

    Examples
    --------
    >>> background = shipped()
    >>> len(background.phones), background.log_probs.shape[1]
    (39, 40)
    >>> background.check(background.phones)
    """

    phones: tuple[str, ...]
    """Of the network."""
    log_probs: np.ndarray
    """(n_frames, n_pdfs) float32: natural log of the probability of the blank and each phone."""
    parts: np.ndarray
    """(n_frames, n_parts) float32: the principal components of the encoder's vectors."""
    mean: np.ndarray
    """(n_values,) float32: of the encoder's vectors, the last layer of `FrameBlock.hidden`."""
    directions: np.ndarray
    """(n_values, n_parts) float32: of the components, scaled to variance 1."""
    ends: tuple[int, ...] = ()
    """The frame at which each kind of sound ends, such as each corpus; empty: one kind."""

    def kinds(self, frames: np.ndarray) -> np.ndarray:
        """Return the kind of each of these frames, from 0; thirds of the sound, if it has one."""
        n = len(self.log_probs)
        ends = self.ends if len(self.ends) > 1 else (n // 3, 2 * n // 3, n)
        return np.searchsorted(ends, frames, side="right")

    @property
    def number(self) -> int:
        """Of the components: two backgrounds of the same number give the same ones."""
        return zlib.crc32(np.concatenate([self.mean[None], self.directions.T]).tobytes())

    def components(self, hidden: np.ndarray) -> np.ndarray:
        """Return the components, (n_frames, n_parts), of a block's `hidden` vectors."""
        parts: np.ndarray = (hidden[:, -len(self.mean) :] - self.mean) @ self.directions
        return parts

    def check(self, phones: Sequence[str]) -> None:
        """Raise OptionError where a model with these phones cannot use the background."""
        if tuple(phones) != self.phones:
            other = sorted(set(phones) ^ set(self.phones))
            raise OptionError(
                f"the background of keywords is of {len(self.phones)} phones, not of the "
                f"{len(phones)} of this model (such as {' '.join(other[:5]) or 'another order'}): "
                "give KeywordDetector a background of the model, see write_background"
            )


@cache
def shipped() -> Background:
    """Return the shipped background of one speaker, of en-us-network."""
    return read_background(SHIPPED)


@cache
def shipped_kinds() -> Background:
    """Return the shipped background of three kinds of speakers, which keywords are told from."""
    return read_background(SHIPPED_KINDS)


def read_background(path: str | Path) -> Background:
    """Read what `write_background` wrote; FormatError where it is damaged.

    Examples
    --------
    >>> len(read_background(SHIPPED).phones)
    39
    """
    values = read_arrays(path)
    try:
        steps, parts = values["steps"], values["parts"]
        mean, directions = (np.asarray(values[name], np.float32) for name in ("mean", "directions"))
        phones = tuple(map(str, values["phones"]))
        if steps.dtype != np.uint8 or parts.dtype != np.int8 or steps.ndim != 2 or parts.ndim != 2:
            raise ValueError("steps and parts must be tables of 8-bit numbers")
        n_frames = MERGED * len(parts)
        if len(phones) != steps.shape[1] - 1 or n_frames != len(steps) or n_frames < STRETCH:
            raise ValueError(f"steps {steps.shape}, parts {parts.shape} and {len(phones)} phones "
                             "do not fit each other")
        ends = tuple(map(int, values.get("ends", ())))
        if list(ends) != sorted(set(ends)) or (ends and (ends[0] < 1 or ends[-1] != n_frames)):
            raise ValueError(f"ends {ends} must ascend to {n_frames}")
        if mean.ndim != 1 or directions.shape != (len(mean), parts.shape[1]):
            raise ValueError("mean and directions do not fit parts")
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError(f"its arrays do not make a background: {error}", path) from None
    return Background(phones, steps.astype(np.float32) / np.float32(-STEPS),
                      np.repeat(parts.astype(np.float32) / np.float32(PART_STEPS), MERGED, axis=0),
                      mean, directions, ends)


def write_background(path: str | Path, phones: Sequence[str], log_probs: np.ndarray,
                     hidden: np.ndarray, ends: Sequence[int] = ()) -> None:
    """Write a background of `FrameStream`'s frames: an hour of speech and noise without keywords.

    Log probabilities are kept in steps of 1 / `STEPS`, components of the vectors in steps of
    1 / `PART_STEPS`, one for `MERGED` frames.

    Parameters
    ----------
    path
        The ``.npz`` file.
    phones
        Of the model.
    log_probs, hidden
        (n_frames, n_pdfs) and (n_frames, n_values): of the frames, as in `FrameBlock`; of hidden
        the last layer is kept.
    ends
        The frame at which each kind of sound ends, such as each corpus. What recordings teach is
        tried on each kind by what the other kinds teach.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> random = np.random.default_rng(0)
    >>> log_probs, hidden = np.log(random.random((400, 3))), random.random((400, WIDTH))
    >>> write_background(file, ("AA", "N"), log_probs, hidden)
    >>> np.load(file)["phones"].tolist()
    ['AA', 'N']
    """
    kept = len(log_probs) // MERGED * MERGED
    steps = np.clip(np.rint(-STEPS * log_probs[:kept]), 0, -STEPS * LEAST).astype(np.uint8)
    hidden = hidden[:kept, -WIDTH:].astype(np.float32)
    mean = hidden.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov((hidden - mean).T))
    largest = np.argsort(-variances)[:N_PARTS]
    directions = (axes[:, largest] / np.sqrt(variances[largest] + 1e-9)).astype(np.float32)
    parts = ((hidden - mean) @ directions).reshape(-1, MERGED, N_PARTS).mean(axis=1)
    parts = np.clip(np.rint(PART_STEPS * parts), -127, 127).astype(np.int8)
    with open(path, "wb") as file:
        np.savez_compressed(file, steps=steps, parts=parts, phones=np.array(phones),
                            mean=mean.astype(np.float32), directions=directions,
                            ends=np.minimum(np.array(ends, np.int64), kept))


def tail_of(ratios_of: Callable[[np.ndarray], np.ndarray], n_phones: float,
            frame_seconds: float, background: Background) -> Tail:
    """Return the tail of a keyword.

    Parameters
    ----------
    ratios_of
        Gives the ratio at each frame of log probabilities.
    n_phones
        Of the keyword, the mean of its pronunciations.
    frame_seconds
        Seconds of a frame.
    background
        Speech and noise without the keyword.
    """
    ratios = ratios_of(background.log_probs)
    n = len(ratios) // STRETCH
    best = ratios[: n * STRETCH].reshape(n, STRETCH).max(axis=1)
    return fit_tail(best, len(ratios) * frame_seconds / 3600,
                    PHONE_SLOPE * max(n_phones, FEWEST_PHONES))
