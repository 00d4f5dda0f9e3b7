"""What is done by saying something: commands, corrections, denials, questions, reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from factored_asr.language.grammar.normalisation import tokens
from factored_asr.understanding.interpretation import Interpretation, Slot

KINDS = ("command", "correction", "confirm", "deny", "undo", "query", "report")


@dataclass(frozen=True, slots=True)
class Act:
    """One act of an utterance.

    Equal acts do the same, however they were worded: the probabilities of all readings of a
    lattice that mean the same can be added.
    """

    kind: str
    """One of ``KINDS``."""
    reading: Interpretation | None = field(default=None, compare=False)
    """What is commanded, denied, asked or reported."""
    words: tuple[str, ...] = field(default=(), compare=False)
    """The complete sentence behind the reading, also where only a part of it was said."""
    note: str = ""
    """A shade of the kind: ``except`` (a denial that only takes away from a command beside it),
    ``choice`` (one of several), ``swap`` (everything the other way round), ``it`` (a word that
    points at nothing), ``cancel`` (taken back before it was finished)."""
    meaning: object = None
    """Intent and slots as a key; filled in by :func:`act`."""

    def to_dict(self, text: str | None = None) -> dict[str, Any]:
        """Plain data for JSON; slots as they stand in ``text``."""
        plain: dict[str, Any] = {"act": self.kind}
        if self.reading is not None:
            reading = self.reading if text is None else relocated(self.reading, text)
            plain |= {"intent": reading.intent, "slots": dict(reading.slots)}
        return plain | ({"note": self.note} if self.note else {})


def act(
    kind: str,
    reading: Interpretation | None = None,
    words: Sequence[str] = (),
    note: str = "",
) -> Act:
    """An act whose meaning is that of its reading.

    Examples
    --------
    >>> on = Interpretation("On", {"room": "hall"}, "turn on the hall")
    >>> act("command", on, ["turn", "on"]) == act("command", on, ["switch", "on"])
    True
    """
    return Act(kind, reading, tuple(words), note, None if reading is None else reading.meaning)


def denied(acts: Iterable[Act]) -> Iterator[Act]:
    """The acts under a negation: commands are denied, denials commanded."""
    for each in acts:
        if each.kind == "command":
            yield replace(each, kind="deny", note="" if each.note == "choice" else each.note)
        elif each.kind == "deny" and not each.note:
            yield replace(each, kind="command")
        elif each.kind != "correction":
            yield each


@dataclass(frozen=True, slots=True)
class Utterance:
    """All acts of one utterance, in the order they are said."""

    text: str
    acts: tuple[Act, ...] = ()
    trace: tuple[str, ...] = field(default=(), compare=False)
    """The rules that led to the acts."""
    confidence: float = field(default=1.0, compare=False)
    alternatives: tuple[Interpretation, ...] = field(default=(), compare=False)
    """What else may have been commanded, each with its own confidence, likeliest first."""

    @property
    def commands(self) -> tuple[Act, ...]:
        """What is to be done now."""
        return tuple(a for a in self.acts if a.kind == "command" and a.note != "choice")

    @property
    def interpretation(self) -> Interpretation | None:
        """What is to be done now, judged without a dialogue; of several commands the first."""
        readings = (a.reading for a in self.commands)
        found = next((reading for reading in readings if reading is not None), None)
        if found is None:
            return None
        found = relocated(found, self.text)
        return replace(
            found, trace=self.trace, confidence=self.confidence, alternatives=self.alternatives
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; reports and questions of nothing known are left out."""
        now = self.interpretation
        told = [a for a in self.acts if a.reading or a.note or a.kind not in ("query", "report")]
        return {
            "text": self.text,
            "intent": None if now is None else now.intent,
            "slots": {} if now is None else dict(now.slots),
            "confidence": self.confidence if told else 0.0,
            "acts": [a.to_dict(self.text) for a in told],
            "trace": list(self.trace),
        }


def relocated(reading: Interpretation, text: str) -> Interpretation:
    """The reading with its slots where their words stand in ``text``, and as written there.

    The last place counts: what is said again is what is meant. A slot that was supplied from
    elsewhere stands nowhere and keeps no span.
    """
    if reading.text == text:
        return reading
    said = tokens(text)
    spans, slots = list[Slot](), dict(reading.slots)
    for slot in reading.spans:
        places = _places([token.word for token in tokens(slot.text)], [t.word for t in said])
        if not places:
            continue
        first, last = said[places[0]], said[places[-1]]
        written = text[first.start : last.end]
        if len(places) <= places[-1] - places[0]:  # something between them was left out
            written = " ".join(text[said[i].start : said[i].end] for i in places)
        if slot.value == slot.text and slots.get(slot.name) == slot.value:
            slots[slot.name] = written
        start, end = len(text[: first.start].split()), len(text[: last.end].split())
        spans.append(replace(slot, text=written, start=start, end=end))
    return replace(reading, text=text, slots=slots, spans=tuple(spans))


def _places(wanted: list[str], words: list[str]) -> list[int]:
    """Where the words stand last, in order; none if not all of them do."""
    places: list[int] = []
    position = len(words)
    for word in reversed(wanted):
        position -= 1
        while position >= 0 and words[position] != word:
            position -= 1
        if position < 0:
            return []
        places.insert(0, position)
    return places
