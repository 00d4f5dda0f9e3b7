"""Transcribed speech: speakers, words, and where the sound or ready-made features lie.

A corpus is a list; files are read on request only. `check` reads everything once and names what
cannot be used, so that a long run does not stop at its thousandth file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from factored_asr.corpus.layouts import read_layout
from factored_asr.corpus.utterance import NO_PATH, Utterance, seconds_of
from factored_asr.errors import FactoredASRError, FormatError, MissingError, OptionError
from factored_asr.features.files import feature_file_path
from factored_asr.language.written import Known, TextRules, spoken_words
from factored_asr.lexicon import Lexicon
from factored_asr.storage.reading import is_file

MeanOver = Literal["utterance", "speaker"]
"""What sounds are normalised by: each utterance by itself, or by all that its speaker says."""
SpeakerBy = Literal["folder", "file"]


@dataclass(frozen=True)
class Problem:
    """Why an utterance cannot be used."""

    utterance: str
    """Its id."""
    kind: Literal["missing file", "empty text", "unknown word", "broken data", "absurd duration"]
    message: str
    """For people; begins with the place that lists the utterance, if there is one."""


@dataclass(frozen=True)
class CheckOptions:
    """Limits of `check`."""

    min_phone_seconds: float = 0.03
    """Shortest time of a phone, seconds: shorter utterances do not fit their text. Higher: more
    utterances are left out."""
    max_word_seconds: float = 10.0
    """Longest mean time of a word, seconds, with one word more than the text has. Lower: more
    utterances are left out."""
    max_seconds: float = 300.0
    """Longest utterance, seconds. Aligning takes memory with its length."""


@dataclass(frozen=True)
class Corpus:
    """Utterances in a fixed order.

    Examples
    --------
    >>> corpus = Corpus.read("examples/words", speaker_by="folder")
    >>> len(corpus.utterances), len(corpus.words), corpus.speakers[:2]
    (160, 20, ('awb', 'en-gb-scotlandf2'))
    >>> len(corpus.select(["awb"]).utterances)
    20
    """

    utterances: tuple[Utterance, ...]
    """All utterances, in the order of the list."""
    name: str = "corpus"
    """What it was read from."""

    @staticmethod
    def read(
        path: str | Path, layout: str = "auto", speaker_by: SpeakerBy | None = None,
        known: Known | None = None,
    ) -> Corpus:
        """Read a corpus's lists, in one of the layouts of `factored_asr.corpus.layouts`.

        `path` is a folder, a table, or a Sphinx ``.fileids`` file; `layout` is ``tsv``, ``kaldi``,
        ``sphinx``, ``librispeech``, ``ljspeech``, ``commonvoice``, ``mfa``, ``names`` or ``auto``,
        by what is there. `known` says which spellings are words, where texts are prose.
        `speaker_by` takes the ``folder`` of a file, or each ``file``, for a speaker; None: the
        speakers that the layout names. Raises MissingError if there is no such folder or list,
        FormatError, with file and line, for a broken list. Raises OptionError for an unknown
        layout, or several lists where one is meant.
        """
        if speaker_by not in (None, "folder", "file"):
            raise OptionError(f"speaker_by is {speaker_by!r}, must be folder or file")
        utterances = read_layout(Path(path), layout, known)
        if not utterances:
            raise MissingError(f"{path}: the corpus lists not a single utterance")
        _check_ids(utterances)
        if speaker_by:
            files = [feature_file_path(u.path) for u in utterances]
            names = [f.parent.name if speaker_by == "folder" else f.stem for f in files]
            utterances = [replace(u, speaker=n) for u, n in zip(utterances, names, strict=True)]
        return Corpus(tuple(utterances), str(path))

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    @property
    def speakers(self) -> tuple[str, ...]:
        """All speakers, sorted."""
        return tuple(sorted({u.speaker for u in self.utterances}))

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the texts, sorted."""
        return tuple(sorted({word for u in self.utterances for word in u.words}))

    def spoken(self, lexicon: Lexicon) -> Corpus:
        """Return the corpus with texts that have words which the lexicon lacks read as prose.

        Case and punctuation go, numbers are spelled out: see `language.written`. A text with words
        that the lexicon lacks even then stays as it is.
        """
        def read(each: Utterance) -> Utterance:
            if not lexicon.missing(each.words):
                return each
            words = spoken_words(each.text, TextRules(case=False), lexicon.knows)
            return each if lexicon.missing(words) else replace(each, words=words)

        return replace(self, utterances=tuple(map(read, self)))

    def select(self, speakers: Collection[str]) -> Corpus:
        """Return only these speakers; MissingError where one is not in the corpus."""
        self._check_speakers(speakers)
        return replace(self, utterances=tuple(u for u in self if u.speaker in set(speakers)))

    def without(self, speakers: Collection[str]) -> Corpus:
        """Return all but these speakers; MissingError where one is not in the corpus."""
        self._check_speakers(speakers)
        return replace(self, utterances=tuple(u for u in self if u.speaker not in set(speakers)))

    def _check_speakers(self, speakers: Collection[str]) -> None:
        lacking = sorted(set(speakers).difference(self.speakers))
        if lacking:
            raise MissingError(f"{self.name}: no speaker {lacking[0]!r} among {len(self.speakers)}")


def check(
    corpus: Corpus, lexicon: Lexicon | None = None, options: CheckOptions | None = None,
    *, seconds: Callable[[Utterance], float] = seconds_of,
) -> tuple[Corpus, tuple[Problem, ...]]:
    """Return the utterances that can be used, and what is wrong with each of the others.

    The lexicon must have every word; None: words are not looked up. `seconds` reads an utterance
    and returns its length, or raises FormatError; for ready-made features give
    `training.data.seconds_of`.
    """
    options = options or CheckOptions()
    problems = {
        u.id: problem for u in corpus if (problem := _problem(u, lexicon, seconds, options))
    }
    rest = tuple(u for u in corpus if u.id not in problems)
    return replace(corpus, utterances=rest), tuple(problems.values())


def _problem(
    utterance: Utterance, lexicon: Lexicon | None, seconds: Callable[[Utterance], float],
    options: CheckOptions,
) -> Problem | None:
    if not utterance.words:
        return _found(utterance, "empty text", "says nothing")
    unknown = lexicon.missing(utterance.words) if lexicon is not None else ()
    if unknown:
        named = ", ".join(map(repr, unknown))
        return _found(utterance, "unknown word", f"{named}: not in the lexicon")
    if utterance.path == NO_PATH or not is_file(feature_file_path(utterance.path)):
        name = "" if utterance.path == NO_PATH else f" {utterance.path}"
        return _found(utterance, "missing file", f"its sound{name} is not there")
    try:
        return _absurd(utterance, lexicon, seconds(utterance), options)
    except FactoredASRError as error:
        return _found(utterance, "broken data", str(error))


def _absurd(
    utterance: Utterance, lexicon: Lexicon | None, seconds: float, options: CheckOptions
) -> Problem | None:
    n_phones = len(utterance.words)
    if lexicon is not None:
        n_phones = sum(min(len(p.phones) for p in lexicon.find(w)) for w in utterance.words)
    least = n_phones * options.min_phone_seconds
    most = min((len(utterance.words) + 1) * options.max_word_seconds, options.max_seconds)
    if least <= seconds <= most:
        return None
    law = f"{seconds:.2f} s are too short for {n_phones} phones, must be {least:.2f}"
    if seconds >= least:
        law = (f"{seconds:.1f} s are too long for {len(utterance.words)} words, "
               f"must be at most {most:.0f}")  # fmt: skip
    return _found(utterance, "absurd duration", law)


def _found(utterance: Utterance, kind: object, message: str) -> Problem:
    return Problem(utterance.id, kind, f"{utterance.where}{message}")  # type: ignore[arg-type]


def _check_ids(utterances: Collection[Utterance]) -> None:
    if not utterances:
        raise MissingError("the corpus lists not a single utterance")
    (common, times), = Counter(u.id for u in utterances).most_common(1)
    if times > 1:
        second = [u for u in utterances if u.id == common][1]
        raise FormatError(f"{second.where}this id is there {times} times, must be there once")
