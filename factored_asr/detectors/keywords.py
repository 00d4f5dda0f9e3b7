"""Wake words and other keywords, from their pronunciation alone or with a few recordings.

A keyword is a row of phones. Its likelihood ratio is that of the best way through its phones and
blanks against all pdfs together in each frame: the log of their posterior probability. It is taken
per phone, so that short and long keywords compare. After "word spotting" with a background model
(R. C. Rose, D. B. Paul, "A hidden Markov model based keyword recognition system", ICASSP 1990).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.detectors.background import Background, Tail, shipped_kinds, tail_of
from factored_asr.detectors.detection import Detection
from factored_asr.detectors.enrolment import Verifier, arrays_of, learn, verifier_of
from factored_asr.detectors.frames import AGAIN, FrameBlock, Recent
from factored_asr.detectors.spotting import PhoneRow, Spot, Spotter
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.reading import read_arrays
from factored_asr.storage.writing import whole_file

if TYPE_CHECKING:
    from factored_asr.models.recipe import Recipe

VERSION = 1
"""Of the files of `KeywordDetector.write`."""
MARGIN = 1.0
"""How far the ratio of a place may lie below what is asked for, before it is computed once more."""
NEAR = 30
"""Frames before the end of such a place where the keyword may end."""
MOST_WAYS = 50
"""Pronunciations of a phrase in the dictionary."""


@dataclass(frozen=True)
class KeywordOptions:
    """When a keyword counts as spoken.

    Examples
    --------
    >>> KeywordOptions(false_alarms=0.1).threshold is None  # it follows from the false alarms
    True
    """

    false_alarms: float = 0.5
    """False alarms an hour that are accepted for each keyword, in speech and noise without it. The
    threshold follows from how well the keyword fits the shipped background, see `background.py`.
    Lower: more misses."""
    threshold: float | None = None
    """Log-likelihood ratio per phone from which on a keyword is found, in place of the one that
    follows from `false_alarms`; 0 is a perfect fit. Of an enrolled keyword: the log-odds of its
    verifier."""
    base_seconds: float = 0.3
    """A keyword lasts at most so long, and"""
    phone_seconds: float = 0.2
    """so long for each phone more; longer: slow speakers are found, and more chance fits."""
    apart_seconds: float = 1.0
    """After a detection the same keyword is not found again for so long."""
    settle_frames: int = 2
    """Frames that a detection waits for a better end, unless the block of frames ends before."""
    recompute: bool = True
    """Compute the last 3 s of frames once more where the keyword may have been said, with all of
    the sound in mind, and judge by these. False: more misses, and each frame is computed once."""

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
    background
        What the model says of speech and noise without the keywords; None: the shipped one of
        three kinds of speakers, of en-us-network.

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
                 options: KeywordOptions | None = None, background: Background | None = None):
        if not keywords:
            raise OptionError("there is no keyword")
        for keyword, pronunciations in keywords.items():
            if not pronunciations or not all(each.split() for each in pronunciations):
                raise OptionError(f"keyword '{keyword}' has no pronunciation, or an empty one")
        self.keywords = {name: tuple(tuple(each.split()) for each in given)
                         for name, given in keywords.items()}
        self.options, self._given = options or KeywordOptions(), background
        self.background = background or shipped_kinds()
        """What thresholds come from, and what recordings are told from."""
        self.verifiers: dict[str, Verifier] = {}
        """Of the keywords that are enrolled."""
        self._tails: dict[str, Tail] = {}

    def enrol(self, keyword: str, recordings: Sequence[np.ndarray], model: NetworkModel,
              noises: Sequence[np.ndarray] = ()) -> KeywordDetector:
        """Return a detector with a verifier that recordings of a keyword teach.

        Its first pronunciation finds candidates. Each recording is also learnt from in noise.

        Parameters
        ----------
        keyword
            One of the detector's keywords.
        recordings
            Three or more, 20 to 50 are good, of different speakers if the keyword is for all: the
            keyword alone, (n_samples,) float32 at the model's rate.
        model
            The network whose frames are learnt from.
        noises
            Sounds of the places where the keyword is said, as recordings; none: computed noise.

        Raises
        ------
        OptionError
            There is no such keyword; recordings are too few, silent or no recordings; phones or
            background are not those of the model.
        """
        if keyword not in self.keywords:
            raise OptionError(f"'{keyword}' is no keyword of the detector: it has "
                              f"{', '.join(self.keywords)}")
        first = self.pronunciations(keyword, model)[0]
        made = KeywordDetector({name: [" ".join(each) for each in given]
                                for name, given in self.keywords.items()},
                               self.options, self._given)
        found = learn(first, recordings, model, self.background, noises)
        made.verifiers.update(self.verifiers, **{keyword: found})
        return made

    def write(self, path: str | Path) -> None:
        """Write the keywords, their pronunciations and what recordings taught of them.

        The file, ``.npz``, holds no recordings. It replaces an old one whole.
        """
        values: dict[str, Any] = {
            "version": np.int32(VERSION), "keywords": np.array(list(self.keywords)),
            "background": np.int64(self.background.number),
        }
        for i, (name, given) in enumerate(self.keywords.items()):
            values[f"pronunciations_{i}"] = np.array([" ".join(each) for each in given])
            if name in self.verifiers:
                made = arrays_of(self.verifiers[name])
                values.update({f"{what}_{i}": each for what, each in made.items()})
        with whole_file(path) as part, open(part, "wb") as file:
            np.savez_compressed(file, **values)

    @staticmethod
    def read(path: str | Path, options: KeywordOptions | None = None,
             background: Background | None = None) -> KeywordDetector:
        """Read what `write` wrote.

        Parameters
        ----------
        path
            The ``.npz`` file.
        options, background
            As of the detector.

        Raises
        ------
        MissingError
            There is no such file.
        FormatError
            It is damaged.
        OptionError
            Its recordings were learnt from with another background.
        """
        values = read_arrays(path)
        try:
            if int(values["version"]) != VERSION:
                raise ValueError(f"version {values['version']}, must be {VERSION}")
            names = [str(name) for name in values["keywords"]]
            keywords = {name: [str(each) for each in values[f"pronunciations_{i}"]]
                        for i, name in enumerate(names)}
            made = KeywordDetector(keywords, options, background)
            for i, name in enumerate(names):
                if f"facts_{i}" in values:
                    parts = {what: values[f"{what}_{i}"] for what in
                             ("facts", "mean", "scale", "weights", "bias")}
                    n_phones, n_parts = len(made.keywords[name][0]), made.background.parts.shape[1]
                    made.verifiers[name] = verifier_of(parts, n_phones, n_parts)
            number = int(values["background"])
        except (KeyError, ValueError, TypeError, OptionError) as error:
            raise FormatError(f"its arrays do not make keywords: {error}", path) from None
        if made.verifiers and number != made.background.number:
            raise OptionError(f"{path}: its keywords were enrolled with another background: enrol "
                              "them again, or give the background of then")
        return made

    def session(self, model: NetworkModel) -> KeywordSession:
        """Begin a sound; OptionError where a phone, or the background, is not of the model."""
        return KeywordSession(self, model)

    def pronunciations(self, keyword: str, model: NetworkModel) -> list[PhoneRow]:
        """Return the pronunciations of a keyword for a model; errors as of `session`."""
        self.background.check(model.phones)
        given, options = self.keywords[keyword], self.options
        unknown = sorted({phone for each in given for phone in each} - set(model.phones))
        if unknown:
            raise OptionError(
                f"keyword '{keyword}' has the phone {unknown[0]}, which the model lacks; its "
                f"phones are {' '.join(model.phones)}"
            )
        seconds = [options.base_seconds + options.phone_seconds * len(each) for each in given]
        return [PhoneRow(each, model.phones, round(longest / model.frame_seconds))
                for each, longest in zip(given, seconds, strict=True)]

    def tail(self, keyword: str, model: NetworkModel) -> Tail:
        """Return the false alarms of a keyword by its ratio; they are found once."""
        if keyword not in self._tails:
            wanted = self.pronunciations(keyword, model)
            self._tails[keyword] = tail_of(
                lambda frames: np.max([Spotter(each).advance(frames, 0)[0] for each in wanted], 0),
                float(np.mean([len(each.columns) for each in wanted])), model.frame_seconds,
                self.background)
        return self._tails[keyword]


class _Keyword:
    """One keyword in one sound: its pronunciations, and whether it was just found."""

    def __init__(self, detector: KeywordDetector, name: str, model: NetworkModel):
        wanted, self._verifier = detector.pronunciations(name, model), detector.verifiers.get(name)
        self._wanted = wanted[:1] if self._verifier else wanted
        self.longest = max(each.longest for each in self._wanted)
        self._spotters = [Spotter(each) for each in self._wanted]
        self._options, verifier = detector.options, self._verifier
        self._tail = verifier.tail if verifier else detector.tail(name, model)
        given = self._options.threshold
        limit = self._tail.threshold(self._options.false_alarms) if given is None else given
        self._threshold = limit
        unverified = limit - (MARGIN if self._options.recompute else 0.0)
        self._least = verifier.candidate if verifier else unverified
        self._apart = round(self._options.apart_seconds / model.frame_seconds)
        self._background = detector.background
        self._pending: Spot | None = None
        self._rejected = Spot(-np.inf, 0, -NEAR)
        self._since = self._next = 0

    def advance(self, block: FrameBlock, recent: Recent) -> list[tuple[Spot, float]]:
        """Return where the keyword is found, with its probability; `recent` ends with the block."""
        log_probs, first = block.log_probs, block.first
        ratios, begins = zip(*(each.advance(log_probs, first) for each in self._spotters),
                             strict=True)
        found = []
        best = np.argmax(ratios, axis=0)
        for t, which in enumerate(best):
            ratio, now = float(ratios[which][t]), first + t
            if self._pending is None:
                tried = self._rejected.ratio if now - self._rejected.end < NEAR else -np.inf
                if ratio < self._least or ratio <= tried or begins[which][t] < self._next:
                    continue
                self._pending, self._since = Spot(ratio, int(begins[which][t]), now), now
            elif ratio > self._pending.ratio:
                self._pending = Spot(ratio, int(begins[which][t]), now)
            if now - self._since >= self._options.settle_frames:
                found += self._settled(recent)
        return found + self._settled(recent)  # a better end in the next block would come too late

    def _settled(self, recent: Recent) -> list[tuple[Spot, float]]:
        """Return the place that has not settled yet, if it is the keyword."""
        place, self._pending = self._pending, None
        if place is None:
            return []
        found, score, probability = self._judged(place, recent)
        if score < self._threshold:
            self._rejected = place
            return []
        self._next = found.begin + self._apart
        return [(found, probability)]

    def _judged(self, place: Spot, recent: Recent) -> tuple[Spot, float, float]:
        """Return a place, computed once more, with its score and its probability."""
        if self._options.recompute:
            place = self._again(place, recent.frames())
        if self._verifier:
            if place.ratio < self._verifier.candidate:
                return place, -np.inf, 0.0
            block = recent.frames()
            here = slice(place.begin - block.first, place.end + 1 - block.first)
            parts = self._background.components(block.hidden[here])
            score = self._verifier.score(
                self._wanted[0].values(block.log_probs[here], parts, place.ratio))
            return place, score, self._verifier.probability(score)
        return place, place.ratio, self._tail.probability(place.ratio)

    def _again(self, place: Spot, block: FrameBlock) -> Spot:
        """The best place in frames that were computed once more that ends about there."""
        found = Spot(-np.inf, place.begin, place.end)
        for each in self._wanted:
            ratios, begins = Spotter(each).advance(block.log_probs, block.first)
            near = max(0, place.end - NEAR - block.first)
            end = near + int(ratios[near:].argmax())
            if ratios[end] > found.ratio and begins[end] >= self._next:
                found = Spot(float(ratios[end]), int(begins[end]), block.first + end)
        return found


class KeywordSession:
    """The keywords of a detector in one sound."""

    def __init__(self, detector: KeywordDetector, model: NetworkModel):
        self._seconds = model.frame_seconds
        self._keywords = {name: _Keyword(detector, name, model) for name in detector.keywords}
        longest = max(each.longest for each in self._keywords.values())
        self._recent = Recent(model, max(AGAIN, longest + detector.options.settle_frames),
                              detector.options.recompute)

    def accept(self, block: FrameBlock) -> list[Detection]:
        """Return the keywords that these frames make certain."""
        self._recent.accept(block)
        return [self._detection(name, *found) for name, keyword in self._keywords.items()
                for found in keyword.advance(block, self._recent)]

    def finish(self) -> list[Detection]:
        """End the sound; blocks leave nothing open."""
        return []

    def _detection(self, name: str, place: Spot, probability: float) -> Detection:
        start, end = place.begin * self._seconds, (place.end + 1) * self._seconds
        return Detection("wake", name, start, end, probability, (("ratio", place.ratio),))


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
        found[phrase] = tuple(dict.fromkeys(map(" ".join, ways)))
    return found
