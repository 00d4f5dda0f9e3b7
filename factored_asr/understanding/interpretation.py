"""The meaning of a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot filled by words of the sentence.

    Examples
    --------
    >>> slot = Slot("room", "living room", "lounge", 4, 5)
    >>> slot.name, slot.value, slot.text
    ('room', 'living room', 'lounge')
    """

    name: str
    """Of the slot, as in the grammar."""
    value: object
    """What is meant: a text or a number."""
    text: str
    """The words as given."""
    start: int
    """Number of the first word."""
    end: int
    """The words are numbers ``start`` … ``end - 1`` of the sentence, counted from 0."""
    seconds: tuple[float, float] | None = None
    """Start and end of these words in the sound; None for text."""
    wildcard: bool = False
    """True if the slot takes any words."""
    metadata: Mapping[str, object] = field(default_factory=dict, compare=False)
    """The grammar's metadata of the value."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of an interpretation, each -log; default 0."""

    acoustic: float = 0.0
    """Of the sound, scaled as in the lattice."""
    language: float = 0.0
    """Of the grammar or language model, pronunciations and silences."""
    channel: float = 0.0
    """Of deleted words."""


@dataclass(frozen=True, slots=True)
class Interpretation:
    """An intent and its slots.

    Examples
    --------
    >>> Interpretation("Light", {"room": "kitchen"}, "kitchen light").to_dict()
    {'text': 'kitchen light', 'intent': 'Light', 'slots': {'room': 'kitchen'}, 'confidence': 1.0}
    """

    intent: str
    """Name of the intent, as in the grammar."""
    slots: Mapping[str, object]
    """Values by slot: from the words, the template's own, and the context."""
    text: str
    """The sentence as given."""
    confidence: float = 1.0
    """Probability of this meaning; 1 for text."""
    spans: tuple[Slot, ...] = field(default=(), compare=False)
    """The slots filled by words, in order."""
    template: str = field(default="", compare=False)
    """File, line and template of the reading."""
    trace: tuple[str, ...] = field(default=(), compare=False)
    """The rules that led here, as text."""
    alternatives: tuple[Interpretation, ...] = field(default=(), compare=False)
    """Other possible meanings, each with its own confidence, best first."""
    costs: Costs = field(default=Costs(), compare=False)
    """Costs of the likeliest words with this meaning."""
    ask: bool = field(default=False, compare=False)
    """True if another meaning is nearly as likely: ask the user."""

    @property
    def meaning(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return intent and slots as a key, equal for sentences of equal meaning."""
        return self.intent, tuple(sorted((name, repr(v)) for name, v in self.slots.items()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"text": self.text, "intent": self.intent, "slots": dict(self.slots),
                "confidence": self.confidence}
