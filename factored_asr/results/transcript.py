"""The transcript of a sound: words with times and meaning, and its JSON.

The JSON of a transcript (schema version 1)::

    {"schema": 1, "text": "turn on the light", "confidence": null, "duration": 1.92, "reason": "",
     "words": [{"word": "turn", "start": 0.31, "end": 0.52, "confidence": null,
                "phones": ["T", "ER", "N"], "phone_ends": [0.38, 0.47, 0.52]}, ...],
     "interpretation": {"text": "turn on the light", "intent": "LightOn",
                        "slots": {"room": "kitchen"}, "confidence": 1.0},
     "rejection": {"code": "denied", "reason": "it may be denied: ...", "nearest": "turn it on",
                   "margin": -2.1, "times": [[0.35, 0.71]]},
     "alternatives": [{"text": "turn on the light", "cost": 912.4}, ...],
     "id": "call-7", "channel": 1, "start": 12.5, "parts": [...]}

Times are seconds from the start of the sound. A confidence is a probability, or null if none was
computed. A word's first phone begins with it, each other one at the end of the phone before;
`phone_ends` is empty if these times are unknown. `interpretation` is null without a grammar, or if
no rule fits. Only some transcripts have these fields:

* `rejection`: why the nearest command was rejected (see `lattice.rejection`);
* `alternatives`: an N-best list was requested;
* `id`: a list names the sound; `channel`: one channel was recognised; `start`: a segment of a file;
* `parts`: a long recording was cut, and this is the transcript of each part with words;
* `timed_by`: the model whose alignment gave the words their times, where another one recognised
  them.

Within a version fields may be added; none is renamed or removed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from factored_asr.errors import FormatError, OptionError
from factored_asr.lattice import Lattice, TwiceScored, WordSegment, nbest
from factored_asr.lattice.rejection import Rejection
from factored_asr.storage.reading import parse_json
from factored_asr.understanding import Interpretation

SCHEMA_VERSION = 1
NOTHING = "no words"
AUDIO_KINDS = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".mp3": "mpeg", ".m4a": "mp4"}
MAX_EMBEDDED = 5_000_000
"""Bytes of a sound that a notebook's page may hold."""


@dataclass(frozen=True)
class Word:
    """One word of a hypothesis.

    Examples
    --------
    >>> Word("yes", 0.25, 0.5, phones=("Y", "EH", "S")).duration
    0.25
    """

    text: str
    """Spelling of the lexicon."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds; silence after the word is not included."""
    confidence: float | None = None
    """Probability that the word is correct, 0 to 1, if requested: its calibrated posterior in the
    lattice (not determinised; after a second pass, the rescored one)."""
    phones: tuple[str, ...] = ()
    """Its pronunciation on the best path."""
    phone_ends: tuple[float, ...] = ()
    """End of each phone in seconds; empty if unknown."""

    @property
    def duration(self) -> float:
        """Return the seconds from start to end."""
        return self.end - self.start

    @property
    def timed_phones(self) -> tuple[Phone, ...]:
        """Return the phones with their times; none if these are unknown.

        Examples
        --------
        >>> Word("oh", 0.2, 0.4, phones=("OW",), phone_ends=(0.4,)).timed_phones
        (Phone(text='OW', start=0.2, end=0.4),)
        """
        starts = (self.start, *self.phone_ends)
        return tuple(map(Phone, self.phones, starts, self.phone_ends))


@dataclass(frozen=True)
class Phone:
    """One phone with its times.

    Examples
    --------
    >>> Phone("AH", 0.25, 0.5).end
    0.5
    """

    text: str
    """The acoustic model's name of the phone."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds."""


@dataclass(frozen=True)
class Hypothesis:
    """One word string of an N-best list.

    Examples
    --------
    >>> Hypothesis((Word("stop", 0.2, 0.6), Word("it", 0.6, 0.8)), cost=74.2).text
    'stop it'
    """

    words: tuple[Word, ...]
    """In order of time."""
    cost: float
    """Cost of its best path: -log, acoustics scaled, up to a constant of the utterance."""

    @property
    def text(self) -> str:
        """Return the words joined by blanks."""
        return " ".join(word.text for word in self.words)


def words_of(
    segments: Sequence[WordSegment], frame_seconds: float, confidences: Sequence[float] = ()
) -> tuple[Word, ...]:
    """Return the words of a path, with times in seconds instead of frames.

    OptionError: the words have no times, because the graph does not know its phones.
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
    """The words of one utterance or file, and their meaning.

    Examples
    --------
    >>> said = Transcript((Word("good", 0.1, 0.4), Word("morning", 0.4, 0.9)), duration=1.2)
    >>> said.text, bool(said)
    ('good morning', True)
    >>> print(said)
    good morning
    >>> print(Transcript(reason="no speech"))
    (no speech)
    """

    words: tuple[Word, ...] = ()
    """In order of time."""
    duration: float = 0.0
    """Seconds of decoded sound."""
    confidence: float | None = None
    """Probability that all words are correct, if requested: product of their confidences."""
    interpretation: Interpretation | None = None
    """Intent and slots, if there is a grammar and one of its sentences fits."""
    reason: str = ""
    """Why there are no words (`no speech`, `no path survived`); empty if there are words."""
    lattice: Lattice | None = field(default=None, repr=False, compare=False)
    """The words and their competitors; the rescored lattice after a second pass."""
    alternatives: tuple[Hypothesis, ...] = ()
    """An N-best list, if one is to be written."""
    id: str = ""
    """Name of the sound in a list; default empty."""
    channel: int = 0
    """The recognised channel of the file, counted from 1; 0 (default): the mean of all."""
    start: float = 0.0
    """Start of the sound in the file, seconds; times of words count from the file's start."""
    parts: tuple[Transcript, ...] = ()
    """Of a long recording that was cut at silences: the transcript of each part."""
    timed_by: str = ""
    """The model whose alignment gave the words their times; empty: the one that recognised them.
    The lattice and N-best lists always have the times of the latter."""
    rejection: Rejection | None = None
    """Why the nearest command was rejected; None if none was."""
    scored_twice: tuple[TwiceScored, ...] = field(default=(), repr=False, compare=False)
    """The word strings that a second acoustic model scored, too; empty where none did."""
    source: str = field(default="", repr=False, compare=False)
    """The file that was transcribed; empty for other sounds."""

    def __str__(self) -> str:
        """Return one line for people: the words, what they mean, or why there are none."""
        if not self.words:
            return f"({self.reason or NOTHING})"
        sure = "" if self.confidence is None else f" ({100 * self.confidence:.0f} %)"
        if (meaning := self.interpretation) is None:
            return f"{self.text}{sure}"
        slots = ", ".join(f"{name}={value}" for name, value in meaning.slots.items())
        return f"{self.text}{sure} → {meaning.intent}({slots})" + " ?" * meaning.ask

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a player, the words by confidence, and the meaning."""
        spans = [
            f'<span title="{word.start:.2f}-{word.end:.2f} s'
            + ("" if word.confidence is None else f", {100 * word.confidence:.0f} %")
            + f'" style="opacity:{_opacity(word.confidence):.2f}">{escape(word.text)}</span>'
            for word in self.words
        ]
        about = [] if not self.words else [f"{self.words[0].start:.2f}-{self.words[-1].end:.2f} s"]
        about += [] if self.confidence is None else [f"{100 * self.confidence:.0f} %"]
        if (meaning := self.interpretation) is not None:
            slots = ", ".join(f"{name}={value}" for name, value in meaning.slots.items())
            about.append(f"{meaning.intent}({slots})")
        if not self.words:
            spans = [f"<em>{escape(self.reason or NOTHING)}</em>"]
            if self.rejection is not None and self.rejection.nearest:
                about.append(f"nearest: {self.rejection.nearest}")
        return (f'<div class="factored-asr">{_player(self.source)}<div>{" ".join(spans)}</div>'
                f"<small>{escape(' · '.join(about))}</small></div>")

    def nbest(self, n: int) -> tuple[Hypothesis, ...]:
        """Return the n word strings of lowest cost in the lattice, best first, each one once.

        Each has the times of its cheapest path. If the words were chosen by minimum Bayes risk,
        they need not be the first. OptionError: n < 1, or there is no lattice; load with
        ``second_pass=SecondPassOptions(keep=True)``.
        """
        if self.lattice is None or not self.lattice.n_nodes:
            if self.words:
                raise OptionError("an N-best list needs a lattice: SecondPassOptions(keep=True)")
            return ()
        lattice, seconds = self.lattice, self.lattice.frame_seconds or 1.0
        return tuple(
            Hypothesis(words_of(lattice.segments(path.arcs), seconds), path.cost)
            for path in nbest(lattice, n)
        )

    @property
    def text(self) -> str:
        """Return the words joined by blanks; empty without speech."""
        return " ".join(word.text for word in self.words)

    def __bool__(self) -> bool:
        return bool(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, as described at the top of this module."""
        meaning = self.interpretation
        only_some = {
            "alternatives": [{"text": each.text, "cost": round(each.cost, 4)}
                             for each in self.alternatives],
            "rejection": None if self.rejection is None else self.rejection.to_dict(),
            "id": self.id, "channel": self.channel, "start": round(self.start, 3),
            "parts": [part.to_dict() for part in self.parts], "timed_by": self.timed_by,
        }
        return {
            "schema": SCHEMA_VERSION, "text": self.text, "confidence": _rounded(self.confidence),
            "duration": round(self.duration, 3), "reason": self.reason,
            "words": [word_dict(word, {"confidence": _rounded(word.confidence)})
                      for word in self.words],
            "interpretation": None if meaning is None else meaning.to_dict(),
            **{name: value for name, value in only_some.items() if value},
        }

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Transcript:
        """Read the result of `to_json`, which does not hold the lattice; FormatError if it is none.

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
            rejection=_rejected(content.get("rejection")),
            id=str(content.get("id", "")), channel=int(content.get("channel", 0)),
            start=float(content.get("start", 0)),
            parts=tuple(map(Transcript._from_dict, content.get("parts", ()))),
            timed_by=str(content.get("timed_by", "")),
        )


def _rejected(values: dict[str, Any] | None) -> Rejection | None:
    return None if values is None else Rejection.from_dict(values)


def _opacity(confidence: float | None) -> float:
    """Return how strongly a word is shown: from 0.4, not sure at all, to 1."""
    return 1.0 if confidence is None else 0.4 + 0.6 * confidence


def _player(source: str) -> str:
    """Return an audio element with the file in it; empty for none, or one too large for a page."""
    path = Path(source)
    kind = AUDIO_KINDS.get(path.suffix.lower())
    if not source or kind is None or not path.is_file() or path.stat().st_size > MAX_EMBEDDED:
        return ""
    sound = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<audio controls src="data:audio/{kind};base64,{sound}"></audio>'


def _maybe(number: Any) -> float | None:
    return None if number is None else float(number)


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)


def word_dict(word: Word, more: dict[str, Any]) -> dict[str, Any]:
    """Return a word as in the JSON, with more fields before its phones."""
    return {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3), **more,
            "phones": list(word.phones), "phone_ends": [round(end, 3) for end in word.phone_ends]}
