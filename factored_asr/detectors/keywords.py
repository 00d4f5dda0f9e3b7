"""Wake words and other keywords, from their pronunciation alone.

A keyword is a row of phones. Its likelihood ratio is that of the best way through its phones and
blanks against the best pdf in each frame, that is, a free loop of phones. It is taken per phone,
so that short and long keywords compare. After "word spotting" with a background model (R. C. Rose,
D. B. Paul, "A hidden Markov model based keyword recognition system", ICASSP 1990).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.detectors._kernels import DEAD, spot
from factored_asr.detectors.background import Tail, tail_of
from factored_asr.detectors.detection import Detection
from factored_asr.detectors.frames import FrameBlock
from factored_asr.errors import MissingError, OptionError

if TYPE_CHECKING:
    from factored_asr.models.recipe import Recipe

MOST_WAYS = 50
"""Pronunciations of a phrase in the dictionary."""
REDUCED = {"AH": ("IH", "ER", "EH"), "IH": ("AH",)}
"""Vowels that take the place of unstressed ones."""
VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())


@dataclass(frozen=True)
class KeywordOptions:
    """When a keyword counts as spoken."""

    false_alarms: float = 0.5
    """False alarms an hour that are accepted for each keyword, in speech and noise without it. The
    threshold follows from how well the keyword fits the shipped background, see `background.py`.
    Lower: more misses."""
    threshold: float | None = None
    """Log-likelihood ratio per phone from which on a keyword is found, in place of the one that
    follows from `false_alarms`; 0 is a perfect fit."""
    base_seconds: float = 0.3
    """A keyword lasts at most so long, and"""
    phone_seconds: float = 0.2
    """so long for each phone more; longer: slow speakers are found, and more chance fits."""
    apart_seconds: float = 1.0
    """After a detection the same keyword is not found again for so long."""
    settle_frames: int = 2
    """Frames that a detection waits for a better end."""

    def __post_init__(self) -> None:
        if not 0 < self.false_alarms < float("inf"):
            raise OptionError(f"false_alarms must be above 0, got {self.false_alarms}")
        for name in ("base_seconds", "phone_seconds", "apart_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise OptionError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.threshold is not None and not np.isfinite(self.threshold):
            raise OptionError(f"threshold must be finite, got {self.threshold}")

class KeywordDetector:
    """Finds words and phrases by their phones, in any sound.

    Parameters
    ----------
    keywords
        Each keyword with its pronunciations, of the model's phones separated by blanks.
    options
        When a keyword counts as spoken.

    Examples
    --------
    >>> from factored_asr.detectors import detect
    >>> from factored_asr.models.bundle import Bundle
    >>> detector = KeywordDetector({"music": ["M Y UW Z IH K"]})
    >>> model = Bundle.find("en-us-network").acoustic_model()
    >>> [found.name for found in detect(model, [detector], "examples/audio/music_stop.wav")]
    ['music']
    """

    def __init__(self, keywords: Mapping[str, Sequence[str]],
                 options: KeywordOptions | None = None):
        if not keywords:
            raise OptionError("there is no keyword")
        for keyword, pronunciations in keywords.items():
            if not pronunciations or not all(each.split() for each in pronunciations):
                raise OptionError(f"keyword '{keyword}' has no pronunciation, or an empty one")
        self.keywords = {name: tuple(tuple(each.split()) for each in given)
                         for name, given in keywords.items()}
        self.options = options or KeywordOptions()
        self._tails: dict[tuple[str, ...], Tail] = {}

    def session(self, model: NetworkModel) -> KeywordSession:
        """Begin a sound; OptionError where a phone is not one of the model's."""
        return KeywordSession(self, model)

    def tail(self, pronunciations: Sequence[Sequence[str]], model: NetworkModel) -> Tail:
        """Return the false alarms of a keyword; they are found once."""
        key = tuple(map(" ".join, pronunciations))
        if key not in self._tails:
            def ratios(scores: np.ndarray, first: int) -> np.ndarray:
                fresh = [_Path(each, model, self.options) for each in pronunciations]
                return np.max([path.advance(scores, first)[0] for path in fresh], axis=0)

            self._tails[key] = tail_of(ratios, model.frame_seconds)
        return self._tails[key]


class _Path:
    """The search for one pronunciation."""

    def __init__(self, phones: Sequence[str], model: NetworkModel, options: KeywordOptions):
        columns = [model.phones.index(phone) + 1 for phone in phones]
        self._columns = np.array(columns, np.int64)
        self._repeats = np.concatenate([[False], self._columns[1:] == self._columns[:-1]])
        seconds = options.base_seconds + options.phone_seconds * len(columns)
        self._longest = round(seconds / model.frame_seconds)
        self._value = np.full(2 * len(columns) - 1, DEAD)
        self._begin = np.zeros(len(self._value), np.int64)

    def advance(self, scores: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ratio per phone of a path that ends in each frame, and where it began."""
        found, begun = np.empty(len(scores)), np.empty(len(scores), np.int64)
        spot(scores, self._columns, self._repeats, 0, self._longest, self._value, self._begin,
             first, found, begun)
        return found / len(self._columns), begun


@dataclass(frozen=True)
class Spot:
    """A place where a keyword fits."""

    ratio: float
    """Log-likelihood ratio per phone."""
    begin: int
    """First frame."""
    end: int
    """Last frame."""


class _Keyword:
    """One keyword in one sound: its pronunciations, and whether it was just found."""

    def __init__(self, pronunciations: Sequence[Sequence[str]], model: NetworkModel,
                 options: KeywordOptions, tail: Tail):
        self._paths = [_Path(each, model, options) for each in pronunciations]
        self._options, self.tail = options, tail
        given = options.threshold
        self._threshold = tail.threshold(options.false_alarms) if given is None else given
        self._apart = round(options.apart_seconds / model.frame_seconds)
        self._pending: Spot | None = None
        self._since = self._next = 0

    def advance(self, scores: np.ndarray, first: int) -> list[Spot]:
        """Return where the keyword is found; a place is returned once it has settled."""
        ratios, begins = zip(*(path.advance(scores, first) for path in self._paths), strict=True)
        found = []
        best = np.argmax(ratios, axis=0)
        for t, which in enumerate(best):
            ratio, now = float(ratios[which][t]), first + t
            if self._pending is None:
                if ratio < self._threshold or begins[which][t] < self._next:
                    continue
                self._pending, self._since = Spot(ratio, int(begins[which][t]), now), now
            elif ratio > self._pending.ratio:
                self._pending = Spot(ratio, int(begins[which][t]), now)
            if now - self._since >= self._options.settle_frames:
                found.append(self._settled())
        return found

    def finish(self) -> list[Spot]:
        """End the sound."""
        return [] if self._pending is None else [self._settled()]

    def _settled(self) -> Spot:
        assert self._pending is not None
        spot, self._pending = self._pending, None
        self._next = spot.begin + self._apart
        return spot


class KeywordSession:
    """The keywords of a detector in one sound."""

    def __init__(self, detector: KeywordDetector, model: NetworkModel):
        self._seconds = model.frame_seconds
        for keyword, pronunciations in detector.keywords.items():
            unknown = sorted({p for each in pronunciations for p in each} - set(model.phones))
            if unknown:
                raise OptionError(
                    f"keyword '{keyword}' has the phone {unknown[0]}, which the model lacks; its "
                    f"phones are {' '.join(model.phones)}"
                )
        self._keywords = {
            name: _Keyword(given, model, detector.options, detector.tail(given, model))
            for name, given in detector.keywords.items()
        }

    def accept(self, block: FrameBlock) -> list[Detection]:
        """Return the keywords that these frames make certain."""
        scores = block.log_probs - block.log_probs.max(axis=1, keepdims=True)
        return [self._detection(name, spot) for name, keyword in self._keywords.items()
                for spot in keyword.advance(scores, block.first)]

    def finish(self) -> list[Detection]:
        """End the sound; return a keyword that its last frames hold."""
        return [self._detection(name, spot) for name, keyword in self._keywords.items()
                for spot in keyword.finish()]

    def _detection(self, name: str, spot: Spot) -> Detection:
        start, end = spot.begin * self._seconds, (spot.end + 1) * self._seconds
        probability = self._keywords[name].tail.probability(spot.ratio)
        return Detection("wake", name, start, end, probability, (("ratio", spot.ratio),))


def pronunciations_of(phrases: Iterable[str], recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return phrases with the pronunciations of their words, all combinations of them.

    Parameters
    ----------
    phrases
        Words separated by blanks.
    recipe
        Whose lexicon gives the pronunciations, and guesses the others if its `guess` says so.

    Raises MissingError where a word has no pronunciation and none is guessed, OptionError for a
    phrase without words or with too many pronunciations.
    """
    words = {phrase: phrase.lower().split() for phrase in phrases}
    used = {word for each in words.values() for word in each}
    lexicon = recipe.read_lexicon()
    lexicon = recipe.with_guesses(lexicon, used) if recipe.guess else lexicon
    found = {}
    for phrase, each in words.items():
        if not each:
            raise OptionError("a phrase to listen for has no words")
        if missing := [word for word in each if word not in lexicon]:
            raise MissingError(f"'{missing[0]}' has no pronunciation: give it by a dictionary")
        ways = [tuple(phone for one in way for phone in one.phones)
                for way in product(*(lexicon[word] for word in each))]
        if len(ways) > MOST_WAYS:
            raise OptionError(f"'{phrase}' has {len(ways)} pronunciations, at most {MOST_WAYS}: "
                              "listen for a shorter phrase")
        found[phrase] = tuple(dict.fromkeys(" ".join(each) for way in ways
                                            for each in (way, *reduced(way))))
    return found


def reduced(phones: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield how people say a word besides its dictionary: one unstressed vowel of another colour,
    and without an r that no vowel follows.

    Examples
    --------
    >>> [" ".join(way) for way in reduced(("S", "AH", "R"))]
    ['S IH R', 'S ER R', 'S EH R', 'S AH']
    """
    for i, phone in enumerate(phones):
        for other in REDUCED.get(phone, ()):
            yield *phones[:i], other, *phones[i + 1 :]
    for i, phone in enumerate(phones):
        if phone == "R" and i and not set(phones[i + 1 : i + 2]) & VOWELS and (
            phones[i - 1] in VOWELS
        ):
            yield *phones[:i], *phones[i + 1 :]
