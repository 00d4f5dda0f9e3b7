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
    seconds: tuple[float, float] | None = None
    """When they were said; None for text."""
    wildcard: bool = False
    """True if any words would have done."""
    metadata: Mapping[str, object] = field(default_factory=dict, compare=False)
    """What the grammar tells about the value besides."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What speaks against an interpretation: each -log, 0 where nothing does."""

    acoustic: float = 0.0
    """Of the sound, scaled as in the lattice."""
    language: float = 0.0
    """Of the grammar or language model, pronunciations and silences."""
    channel: float = 0.0
    """Of words that were left out."""


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

    trace: tuple[str, ...] = field(default=(), compare=False)
    """The rules that led here, in words a person can read."""
    alternatives: tuple[Interpretation, ...] = field(default=(), compare=False)
    """What else may have been meant, each with its own confidence, best first."""
    costs: Costs = field(default=Costs(), compare=False)
    """Of the likeliest words that mean this."""
    ask: bool = field(default=False, compare=False)
    """True if something else is so nearly as likely that it is better to ask."""

    @property
    def meaning(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Intent and slots as a key: two sentences that mean the same have the same."""
        return self.intent, tuple(sorted((name, repr(v)) for name, v in self.slots.items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "text": self.text,
            "intent": self.intent,
            "slots": dict(self.slots),
            "confidence": self.confidence,
        }
