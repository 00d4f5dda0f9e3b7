"""What comes out: words with times, the transcript that holds them, and its JSON.

The JSON of a transcript (schema version 1)::

    {"schema": 1, "text": "turn on the light", "confidence": null, "duration": 1.92, "reason": "",
     "words": [{"word": "turn", "start": 0.31, "end": 0.52, "confidence": null,
                "phones": ["T", "ER", "N"], "phone_ends": [0.38, 0.47, 0.52]}, ...],
     "interpretation": {"text": "turn on the light", "intent": "LightOn",
                        "slots": {"room": "kitchen"}, "confidence": 1.0},
     "alternatives": [{"text": "turn on the light", "cost": 912.4}, ...],
     "id": "call-7", "channel": 1, "start": 12.5, "parts": [...]}

Times are seconds from the start of the sound; a confidence is a probability, or null where none
was computed; a word's first phone begins with it, each other one where the one before ends
(`phone_ends` is empty where these times are not known); `interpretation` is null without a grammar
or where no rule fits; `alternatives` is there where an N-best list was asked for, `id` where a list
named the sound, `channel` where one was heard alone, `start` where a stretch does not begin with
its file, and `parts` where a long recording was cut: the transcript of each part that holds words.
Within a version fields may be added, none renamed or taken away.

The JSON of an alignment (the same schema version)::

    {"schema": 1, "text": "turn on", "duration": 1.92, "score": -1.3, "reason": "",
     "words": [{"word": "turn", "start": 0.31, "end": 0.52, "score": -1.1, "fits": true,
                "phones": ["T", "ER", "N"], "phone_ends": [0.38, 0.47, 0.52]}, ...],
     "phones": [{"phone": "SIL", "start": 0.0, "end": 0.31}, ...],
     "states": [{"phone": "SIL", "state": 0, "pdf": 12, "start": 0.0, "end": 0.04}, ...]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from factored_asr.errors import FormatError, OptionError
from factored_asr.lattice import Lattice, WordSegment, nbest
from factored_asr.storage.reading import parse_json
from factored_asr.understanding import Interpretation

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Word:
    """One word that was heard.

    Examples
    --------
    >>> Word("yes", 0.25, 0.5, phones=("Y", "EH", "S")).duration
    0.25
    """

    text: str
    """The word, as the lexicon spells it."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds; the silence after the word does not belong to it."""
    confidence: float | None = None
    """Probability that the word is right, 0 to 1, where one was asked for: its posterior in the
    lattice (not determinised; the rescored one after a second pass), calibrated for the model."""
    phones: tuple[str, ...] = ()
    """The pronunciation that the best path went through."""
    phone_ends: tuple[float, ...] = ()
    """Seconds: where each of the phones ends; empty where that is not known."""

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start

    @property
    def timed_phones(self) -> tuple[Phone, ...]:
        """The phones with their times; none where these are not known.

        Examples
        --------
        >>> Word("oh", 0.2, 0.4, phones=("OW",), phone_ends=(0.4,)).timed_phones
        (Phone(text='OW', start=0.2, end=0.4),)
        """
        starts = (self.start, *self.phone_ends)
        return tuple(map(Phone, self.phones, starts, self.phone_ends))


@dataclass(frozen=True)
class Phone:
    """One phone with its times."""

    text: str
    """The phone, as the acoustic model names it."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds."""


@dataclass(frozen=True)
class Hypothesis:
    """One word string of an N-best list."""

    words: tuple[Word, ...]
    """In the order they were said."""
    cost: float
    """What its best path costs: -log, acoustics scaled, up to a constant of the utterance."""

    @property
    def text(self) -> str:
        """The words joined by blanks."""
        return " ".join(word.text for word in self.words)


def words_of(
    segments: Sequence[WordSegment], frame_seconds: float, confidences: Sequence[float] = ()
) -> tuple[Word, ...]:
    """Words of a path, from frames to seconds.

    Raises
    ------
    OptionError
        The words have no times, as the graph does not know its phones.
    """
    words = []
    for segment, confidence in zip_longest(segments, confidences):
        if segment.start is None or segment.end is None:
            raise OptionError("the graph does not know its phones, so its words have no times")
        words.append(Word(
            segment.word, segment.start * frame_seconds, segment.end * frame_seconds, confidence,
            tuple(phone.phone for phone in segment.phones),
            tuple(phone.end * frame_seconds for phone in segment.phones),
        ))
    return tuple(words)


@dataclass(frozen=True)
class Transcript:
    """The words of one utterance or file, and what they mean.

    Examples
    --------
    >>> said = Transcript((Word("good", 0.1, 0.4), Word("morning", 0.4, 0.9)), duration=1.2)
    >>> said.text, bool(said)
    ('good morning', True)
    >>> Transcript(reason="no speech").to_dict()["reason"]
    'no speech'
    """

    words: tuple[Word, ...] = ()
    """In the order they were said."""
    duration: float = 0.0
    """Seconds of sound that were decoded."""
    confidence: float | None = None
    """Probability that all words are right, where theirs were asked for: their product."""
    interpretation: Interpretation | None = None
    """Intent and slots, where a grammar was given and one of its sentences fits."""
    reason: str = ""
    """Why there are no words (`no speech`, `no path survived`); empty where there are."""
    lattice: Lattice | None = field(default=None, repr=False, compare=False)
    """What competed with the words: as rescored, where a second pass was made."""
    alternatives: tuple[Hypothesis, ...] = ()
    """An N-best list, where one was asked to be written out."""
    id: str = ""
    """What a list of sounds calls it; empty where none did."""
    channel: int = 0
    """The channel of the file that was heard, counted from 1; 0: all of them, averaged."""
    start: float = 0.0
    """Where in the file the sound begins, seconds; words' times count from the file's start."""
    parts: tuple[Transcript, ...] = ()
    """Of a long recording that was cut at silences: what was heard in each part."""

    def nbest(self, n: int) -> tuple[Hypothesis, ...]:
        """The n most probable word strings of the lattice, none of them twice, the best first.

        Each stands for all its segmentations and pronunciations, and has the times of the
        cheapest. Where the words were chosen by least risk they need not be the first.

        Raises
        ------
        OptionError
            There is no lattice: ask for one by ``second_pass=SecondPassOptions(keep=True)``; or
            n < 1.
        """
        if self.lattice is None or not self.lattice.n_nodes:
            if self.words:
                raise OptionError("an N-best list needs a lattice: SecondPassOptions(keep=True)")
            return ()
        lattice, seconds = self.lattice, self.lattice.frame_seconds or 1.0
        return tuple(
            Hypothesis(
                words_of([lattice.segment(a) for a in path.arcs if lattice.arc_word[a]], seconds),
                path.cost,
            )
            for path in nbest(lattice, n)
        )

    @property
    def text(self) -> str:
        """The words joined by blanks; empty where nothing was said."""
        return " ".join(word.text for word in self.words)

    def __bool__(self) -> bool:
        return bool(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, as described at the top of this module."""
        meaning = self.interpretation
        alternatives = [
            {"text": each.text, "cost": round(each.cost, 4)} for each in self.alternatives
        ]
        return {
            "schema": SCHEMA_VERSION, "text": self.text,
            "confidence": _rounded(self.confidence),
            "duration": round(self.duration, 3), "reason": self.reason,
            "words": [
                {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3),
                 "confidence": _rounded(word.confidence), **_phones(word)}
                for word in self.words
            ],
            "interpretation": None if meaning is None else meaning.to_dict(),
            **({"alternatives": alternatives} if alternatives else {}),
            **self._origin(),
        }

    def _origin(self) -> dict[str, Any]:
        """What is not there of a whole file that was heard in one piece."""
        parts = [part.to_dict() for part in self.parts]
        all_fields = {"id": self.id, "channel": self.channel, "start": round(self.start, 3),
                      "parts": parts}
        return {name: value for name, value in all_fields.items() if value}

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Transcript:
        """Read what `to_json` wrote (the lattice is not part of it).

        Raises
        ------
        FormatError
            The text is no JSON object of this schema version, or a field has the wrong type.

        Examples
        --------
        >>> said = Transcript((Word("no", 0.5, 0.75, phones=("N", "OW")),), duration=1.0)
        >>> Transcript.from_json(said.to_json()) == said
        True
        """
        try:
            return Transcript._from_dict(parse_json(text))
        except FormatError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise FormatError(f"not the JSON of a transcript: {error!r}") from error

    @staticmethod
    def _from_dict(content: dict[str, Any]) -> Transcript:
        if content["schema"] != SCHEMA_VERSION:
            raise FormatError(
                f"transcript schema must be {SCHEMA_VERSION}, got {content['schema']!r}"
            )
        words = tuple(
            Word(str(item["word"]), float(item["start"]), float(item["end"]),
                 _maybe(item["confidence"]), tuple(map(str, item["phones"])),
                 tuple(map(float, item.get("phone_ends", ()))))
            for item in content["words"]
        )
        meaning = content["interpretation"]
        return Transcript(
            words, float(content["duration"]), _maybe(content["confidence"]),
            None if meaning is None else Interpretation(**meaning), str(content["reason"]),
            id=str(content.get("id", "")), channel=int(content.get("channel", 0)),
            start=float(content.get("start", 0)),
            parts=tuple(map(Transcript._from_dict, content.get("parts", ()))),
        )


@dataclass(frozen=True)
class State:
    """One stay in a state of an HMM."""

    phone: str
    """The phone that the HMM realises."""
    state: int
    """Place in the HMM, from 0."""
    pdf: int
    """The acoustic model's density: a column of its score matrix."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds."""


@dataclass(frozen=True)
class AlignedWord:
    """A word that was given, where it was found, and how well it fits the sound there."""

    word: Word
    """Text, times and pronunciation."""
    score: float
    """Mean over its frames of log p(frame | the word's state) - log p(frame | the best phone out
    of context): about 0 where the word is what was said, far below where it is not."""
    fits: bool = True
    """False where the score lies below what words that were said hardly ever have."""


@dataclass(frozen=True)
class Alignment:
    """A text laid over its sound: false, with a reason, where there is no way to do so.

    Examples
    --------
    >>> word = Word("oh", 0.2, 0.4, phones=("OW",), phone_ends=(0.4,))
    >>> aligned = Alignment((AlignedWord(word, -0.5),), duration=1.0)
    >>> aligned.text, aligned.score, aligned.transcript.words[0].end
    ('oh', -0.5, 0.4)
    """

    words: tuple[AlignedWord, ...] = ()
    """All words of the text, in order; none where no path survived."""
    phones: tuple[Phone, ...] = ()
    """All phones from the first frame to the last, silence and fillers included."""
    states: tuple[State, ...] = ()
    """All stays in HMM states, likewise."""
    duration: float = 0.0
    """Seconds of sound."""
    reason: str = ""
    """Why there are no words, or which words do not fit; empty where all do."""

    @property
    def text(self) -> str:
        """The words joined by blanks."""
        return " ".join(each.word.text for each in self.words)

    @property
    def score(self) -> float:
        """Mean of the words' scores, each weighed by its length; -inf where there are none."""
        seconds = sum(each.word.duration for each in self.words)
        if not seconds:
            return float("-inf")
        return sum(each.score * each.word.duration for each in self.words) / seconds

    @property
    def transcript(self) -> Transcript:
        """The words as a transcript: every format takes one."""
        words = tuple(each.word for each in self.words)
        return Transcript(words, self.duration, reason=self.reason)

    def __bool__(self) -> bool:
        return bool(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, as described at the top of this module."""
        return {
            "schema": SCHEMA_VERSION, "text": self.text, "duration": round(self.duration, 3),
            "score": round(self.score, 3) if self.words else None, "reason": self.reason,
            "words": [
                {"word": each.word.text, "start": round(each.word.start, 3),
                 "end": round(each.word.end, 3), "score": round(each.score, 3),
                 "fits": each.fits, **_phones(each.word)}
                for each in self.words
            ],
            "phones": [
                {"phone": each.text, "start": round(each.start, 3), "end": round(each.end, 3)}
                for each in self.phones
            ],
            "states": [
                {"phone": each.phone, "state": each.state, "pdf": each.pdf,
                 "start": round(each.start, 3), "end": round(each.end, 3)}
                for each in self.states
            ],
        }


def _maybe(number: Any) -> float | None:
    return None if number is None else float(number)


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)


def _phones(word: Word) -> dict[str, Any]:
    ends = [round(end, 3) for end in word.phone_ends]
    return {"phones": list(word.phones), "phone_ends": ends}
