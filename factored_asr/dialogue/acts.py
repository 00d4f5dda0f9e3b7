"""Dialogue acts: commands, corrections, denials, questions, reports."""

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

    Acts of equal meaning are equal, so the probabilities of the readings of a lattice can be added.

    Examples
    --------
    >>> light = Interpretation("TurnOn", {"room": "hall"}, "turn on the hall light")
    >>> act("command", light).to_dict()
    {'act': 'command', 'intent': 'TurnOn', 'slots': {'room': 'hall'}}
    """

    kind: str
    """One of ``KINDS``."""
    reading: Interpretation | None = field(default=None, compare=False)
    """What is commanded, denied, asked or reported."""
    words: tuple[str, ...] = field(default=(), compare=False)
    """The complete sentence of the reading, even if it was elliptical."""
    note: str = ""
    """``except`` (a denial that restricts another command), ``choice`` (one of several), ``swap``
    (the opposite of everything), ``it`` (a pronoun without antecedent), ``cancel`` (taken back
    before it was finished)."""
    meaning: object = None
    """Intent and slots as a key; filled in by :func:`act`."""

    def to_dict(self, text: str | None = None) -> dict[str, Any]:
        """Return plain data for JSON; slots as in ``text``."""
        plain: dict[str, Any] = {"act": self.kind}
        if self.reading is not None:
            reading = self.reading if text is None else relocated(self.reading, text)
            plain |= {"intent": reading.intent, "slots": dict(reading.slots)}
        return plain | ({"note": self.note} if self.note else {})


def act(kind: str, reading: Interpretation | None = None, words: Sequence[str] = (),
        note: str = "") -> Act:
    """Return an act with the meaning of its reading.

    Examples
    --------
    >>> on = Interpretation("On", {"room": "hall"}, "turn on the hall")
    >>> act("command", on, ["turn", "on"]) == act("command", on, ["switch", "on"])
    True
    """
    return Act(kind, reading, tuple(words), note, None if reading is None else reading.meaning)


def denied(acts: Iterable[Act]) -> Iterator[Act]:
    """Yield the acts under a negation: commands become denials, denials commands."""
    for each in acts:
        if each.kind == "command":
            yield replace(each, kind="deny", note="" if each.note == "choice" else each.note)
        elif each.kind == "deny" and not each.note:
            yield replace(each, kind="command")
        elif each.kind != "correction":
            yield each


@dataclass(frozen=True, slots=True)
class Utterance:
    """All acts of one utterance, in order.

    Examples
    --------
    >>> light = Interpretation("TurnOn", {"room": "hall"}, "turn on the hall light")
    >>> said = Utterance(light.text, (act("command", light),))
    >>> said.interpretation.slots, Utterance("don't", (act("deny", light),)).interpretation
    ({'room': 'hall'}, None)
    """

    text: str
    """The words as given."""
    acts: tuple[Act, ...] = ()
    """What is commanded, denied, asked and so on, in order."""
    trace: tuple[str, ...] = field(default=(), compare=False)
    """The rules that led to the acts."""
    confidence: float = field(default=1.0, compare=False)
    """Probability of this reading, 0 to 1."""
    alternatives: tuple[Interpretation, ...] = field(default=(), compare=False)
    """Other possible commands, each with its own confidence, likeliest first."""
    refers: bool = field(default=False, compare=False)
    """True if it refers to a turn before that is not known: "and …" at first, "it" after a turn
    that was not understood."""

    @property
    def commands(self) -> tuple[Act, ...]:
        """Return the commands to execute now."""
        return tuple(a for a in self.acts if a.kind == "command" and a.note != "choice")

    @property
    def interpretation(self) -> Interpretation | None:
        """Return the first command to execute now, independent of a dialogue."""
        found = next((a.reading for a in self.commands if a.reading is not None), None)
        return found and replace(relocated(found, self.text), trace=self.trace,
                                 confidence=self.confidence, alternatives=self.alternatives)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without reports and questions about unknown things."""
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
    """Return the reading with its slots at the places of their words in ``text``, as written there.

    The last place counts: a repetition replaces the first. A slot without words in the text has no
    span.
    """
    if reading.text == text:
        return reading
    given = tokens(text)
    spans, slots = list[Slot](), dict(reading.slots)
    for slot in reading.spans:
        places = _places([token.word for token in tokens(slot.text)], [t.word for t in given])
        if not places:
            continue
        first, last = given[places[0]], given[places[-1]]
        written = text[first.start : last.end]
        if len(places) <= places[-1] - places[0]:  # words between them were deleted
            written = " ".join(text[given[i].start : given[i].end] for i in places)
        if slot.value == slot.text and slots.get(slot.name) == slot.value:
            slots[slot.name] = written
        start, end = len(text[: first.start].split()), len(text[: last.end].split())
        spans.append(replace(slot, text=written, start=start, end=end))
    return replace(reading, text=text, slots=slots, spans=tuple(spans))


def _places(wanted: list[str], words: list[str]) -> list[int]:
    """Return the last places of the words in order; none if one is missing."""
    places: list[int] = []
    position = len(words)
    for word in reversed(wanted):
        position = next((i for i in range(position - 1, -1, -1) if words[i] == word), -1)
        if position < 0:
            return []
        places.insert(0, position)
    return places
