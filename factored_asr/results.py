"""What comes out: words with times, the transcript that holds them, and its JSON.

The JSON of a transcript (schema version 1)::

    {"schema": 1, "text": "turn on the light", "confidence": null, "duration": 1.92, "reason": "",
     "words": [{"word": "turn", "start": 0.31, "end": 0.52, "confidence": null,
                "phones": ["T", "ER", "N"]}, ...],
     "interpretation": {"text": "turn on the light", "intent": "LightOn",
                        "slots": {"room": "kitchen"}, "confidence": 1.0}}

Times are seconds from the start of the sound; a confidence is a probability, or null where none
was computed; `interpretation` is null without a grammar or where no rule fits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from factored_asr.decoder import Lattice
from factored_asr.errors import FormatError
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
    """Probability that the word is right, where one was computed."""
    phones: tuple[str, ...] = ()
    """The pronunciation that the best path went through."""

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start


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
    """Probability that the whole text is right, where one was computed."""
    interpretation: Interpretation | None = None
    """Intent and slots, where a grammar was given and one of its sentences fits."""
    reason: str = ""
    """Why there are no words (`no speech`, `no path survived`); empty where there are."""
    lattice: Lattice | None = field(default=None, repr=False, compare=False)
    """What the search kept beside the best path."""

    @property
    def text(self) -> str:
        """The words joined by blanks; empty where nothing was said."""
        return " ".join(word.text for word in self.words)

    def __bool__(self) -> bool:
        return bool(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, as described at the top of this module."""
        meaning = self.interpretation
        return {
            "schema": SCHEMA_VERSION, "text": self.text, "confidence": self.confidence,
            "duration": round(self.duration, 3), "reason": self.reason,
            "words": [
                {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3),
                 "confidence": word.confidence, "phones": list(word.phones)}
                for word in self.words
            ],
            "interpretation": None if meaning is None else meaning.to_dict(),
        }

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
            content = json.loads(text)
            if content["schema"] != SCHEMA_VERSION:
                raise FormatError(
                    f"transcript schema must be {SCHEMA_VERSION}, got {content['schema']!r}"
                )
            words = tuple(
                Word(str(item["word"]), float(item["start"]), float(item["end"]),
                     item["confidence"], tuple(item["phones"]))
                for item in content["words"]
            )
            meaning = content["interpretation"]
            return Transcript(
                words, float(content["duration"]), content["confidence"],
                None if meaning is None else Interpretation(**meaning), str(content["reason"]),
            )
        except FormatError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError(f"not the JSON of a transcript: {error!r}") from error
