"""The alignment of a text with its sound, and its JSON.

The JSON of an alignment (schema version as for transcripts)::

    {"schema": 1, "text": "turn on", "duration": 1.92, "score": -1.3, "reason": "",
     "skipped": ["[noise]"],
     "words": [{"word": "turn", "start": 0.31, "end": 0.52, "score": -1.1, "fits": true,
                "phones": ["T", "ER", "N"], "phone_ends": [0.38, 0.47, 0.52]}, ...],
     "phones": [{"phone": "SIL", "start": 0.0, "end": 0.31}, ...],
     "states": [{"phone": "SIL", "state": 0, "pdf": 12, "start": 0.0, "end": 0.04}, ...]}

A word that is said otherwise than it is written has "spoken", too: "twenty one" for "21". Where
another model than the recogniser's gave times and scores, "timed_by" names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factored_asr.results.transcript import SCHEMA_VERSION, Phone, Transcript, Word, word_dict


@dataclass(frozen=True)
class State:
    """Neighbouring frames in one state of a unit.

    Examples
    --------
    >>> state = State("AH", 1, pdf=300, start=0.25, end=0.5)
    >>> state.phone, state.state  # the second state of the phone
    ('AH', 1)
    """

    phone: str
    """The phone of the unit."""
    state: int
    """Place in the unit, from 0."""
    pdf: int
    """The pdf of the acoustic model by which the state is entered."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds."""


@dataclass(frozen=True)
class AlignedWord:
    """A word of the text with its times, and how well it fits the sound there.

    Examples
    --------
    >>> AlignedWord(Word("21", 0.5, 1.2), score=-0.4, spoken=("twenty", "one")).fits
    True
    """

    word: Word
    """Text, times and pronunciation."""
    score: float
    """Mean over its frames of log p(frame | the word's state) - log p(frame | best phone without
    context): about 0 if the word was spoken, far below if not."""
    fits: bool = True
    """False if spoken words hardly ever have such a low score."""
    spoken: tuple[str, ...] = ()
    """The words of the lexicon that it was aligned as: ("twenty", "one") for "21"."""


@dataclass(frozen=True)
class Alignment:
    """A text aligned to its sound; False, with a reason, if they cannot be aligned.

    Examples
    --------
    >>> word = Word("oh", 0.2, 0.4, phones=("OW",), phone_ends=(0.4,))
    >>> aligned = Alignment((AlignedWord(word, -0.5),), duration=1.0)
    >>> aligned.text, aligned.score, aligned.transcript.words[0].end
    ('oh', -0.5, 0.4)
    """

    words: tuple[AlignedWord, ...] = ()
    """All words of the text, in order; none if no path survived."""
    phones: tuple[Phone, ...] = ()
    """All phones from the first frame to the last, silence and fillers included."""
    states: tuple[State, ...] = ()
    """All states, likewise."""
    duration: float = 0.0
    """Seconds of sound."""
    reason: str = ""
    """Why there are no words, or which words do not fit; empty if all fit."""
    skipped: tuple[str, ...] = ()
    """Parts of the text that are not said: annotations and labels of speakers."""
    timed_by: str = ""
    """The model that gave times and scores; empty: the one that recognises."""

    @property
    def text(self) -> str:
        """Return the words joined by blanks."""
        return " ".join(each.word.text for each in self.words)

    @property
    def score(self) -> float:
        """Return the mean of the words' scores, weighted by duration; -inf without words."""
        seconds = sum(each.word.duration for each in self.words)
        if not seconds:
            return float("-inf")
        return sum(each.score * each.word.duration for each in self.words) / seconds

    @property
    def transcript(self) -> Transcript:
        """Return the words as a transcript, for all formats."""
        return Transcript(tuple(w.word for w in self.words), self.duration, reason=self.reason,
                          timed_by=self.timed_by)

    def __bool__(self) -> bool:
        return bool(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, as described at the top of this module."""
        return {
            "schema": SCHEMA_VERSION, "text": self.text, "duration": round(self.duration, 3),
            "score": round(self.score, 3) if self.words else None, "reason": self.reason,
            "skipped": list(self.skipped), "words": [_word(each) for each in self.words],
            "phones": [{"phone": each.text, **_times(each)} for each in self.phones],
            "states": [{"phone": each.phone, "state": each.state, "pdf": each.pdf, **_times(each)}
                       for each in self.states],
            **({"timed_by": self.timed_by} if self.timed_by else {}),
        }


def _word(each: AlignedWord) -> dict[str, Any]:
    spoken = " ".join(each.spoken)
    differs = {"spoken": spoken} if spoken and spoken.lower() != each.word.text.lower() else {}
    return word_dict(each.word, {"score": round(each.score, 3), "fits": each.fits, **differs})


def _times(each: Phone | State) -> dict[str, float]:
    return {"start": round(each.start, 3), "end": round(each.end, 3)}
