"""What a sentence means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that words of the sentence filled."""

    name: str
    value: object
    text: str
    """The words, as they were given."""
    start: int
    end: int
    """The words are numbers ``start`` … ``end - 1`` of the sentence, counted from 0."""


@dataclass(frozen=True, slots=True)
class Interpretation:
    """An intent and its slots.

    Examples
    --------
    >>> Interpretation("Light", {"room": "kitchen"}, "kitchen light").to_dict()
    {'text': 'kitchen light', 'intent': 'Light', 'slots': {'room': 'kitchen'}, 'confidence': 1.0}
    """

    intent: str
    slots: Mapping[str, object]
    """Values by slot: from the words, the template's own, and the context."""
    text: str
    """The sentence as it was given."""
    confidence: float = 1.0
    """Probability that this is what was meant; 1 for text."""
    spans: tuple[Slot, ...] = field(default=(), compare=False)
    """The slots that words filled, in the order they were said."""
    template: str = field(default="", compare=False)
    """Where the reading comes from: file, line and template."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "text": self.text,
            "intent": self.intent,
            "slots": dict(self.slots),
            "confidence": self.confidence,
        }
