"""Accuracy of understanding: intents, slots and false actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from factored_asr.evaluation.significance import wilson
from factored_asr.evaluation.transcript_files import Meaning


def accepts(asked: Meaning, done: Meaning) -> bool:
    """Return whether the intent and every slot asked for are right; more slots may be filled."""
    return done.intent == asked.intent and asked.slots.items() <= done.slots.items()


@dataclass(frozen=True)
class Understood:
    """Counts over utterances with a known meaning."""

    n_commands: int = 0
    accepted: int = 0
    """Commands with the intent and every slot right."""
    intents: int = 0
    """Commands with the intent right."""
    unanswered: int = 0
    """Commands without an action."""
    n_slots: int = 0
    """Slots of the references of commands."""
    filled: int = 0
    """Slots of the hypotheses of commands."""
    slots: int = 0
    """Slots that are right."""
    n_others: int = 0
    """Utterances that are no commands."""
    false_actions: int = 0
    """Those that led to an action."""

    @property
    def wrong(self) -> int:
        """Commands with another action than asked for."""
        return self.n_commands - self.accepted - self.unanswered

    @property
    def acceptance(self) -> float:
        """Share of commands accepted; nan without commands."""
        return _share(self.accepted, self.n_commands)

    @property
    def false_action_rate(self) -> float:
        """Share of the other utterances that led to an action; nan without any."""
        return _share(self.false_actions, self.n_others)

    def to_dict(self) -> dict[str, Any]:
        """Return counts, shares (null without any) and Wilson's 95 % intervals, for JSON."""
        return {
            "commands": self.n_commands, "accepted": self.accepted, "wrong": self.wrong,
            "unanswered": self.unanswered, "acceptance": _known(self.acceptance),
            "interval": wilson(self.accepted, self.n_commands),
            "intent_accuracy": _known(_share(self.intents, self.n_commands)),
            "slots": {"asked": self.n_slots, "filled": self.filled, "right": self.slots,
                      "precision": _known(_share(self.slots, self.filled)),
                      "recall": _known(_share(self.slots, self.n_slots))},
            "others": self.n_others, "false_actions": self.false_actions,
            "false_action_rate": _known(self.false_action_rate),
            "false_action_interval": wilson(self.false_actions, self.n_others),
        }

    def describe(self) -> str:
        """Return the figures as text."""
        lines = []
        if self.n_commands:
            low, high = wilson(self.accepted, self.n_commands)
            lines.append(
                f"commands accepted {100 * self.acceptance:.1f} % ({self.accepted} of "
                f"{self.n_commands}; 95 % interval {100 * low:.1f} to {100 * high:.1f}, Wilson); "
                f"{self.wrong} wrong, {self.unanswered} unanswered; intents right {self.intents}; "
                f"slots: {self.slots} right of {self.n_slots} asked for, {self.filled} filled"
            )
        if self.n_others:
            low, high = wilson(self.false_actions, self.n_others)
            lines.append(
                f"false actions {100 * self.false_action_rate:.1f} % ({self.false_actions} of "
                f"{self.n_others} utterances without a command; 95 % interval {100 * low:.1f} to "
                f"{100 * high:.1f})"
            )
        return "\n".join(lines)


def understood(pairs: Iterable[tuple[Meaning, Meaning]]) -> Understood:
    """Count pairs of (meaning asked for, meaning done).

    Examples
    --------
    >>> on = Meaning("on", {"room": "kitchen"})
    >>> counts = understood([(on, on), (on, Meaning("off")), (Meaning(), on), (on, Meaning())])
    >>> counts.accepted, counts.wrong, counts.unanswered, counts.false_action_rate
    (1, 1, 1, 1.0)
    """
    rows = list(pairs)
    commands = [(asked, done) for asked, done in rows if asked.intent]
    others = [done for asked, done in rows if not asked.intent]
    return Understood(
        n_commands=len(commands),
        accepted=sum(accepts(asked, done) for asked, done in commands),
        intents=sum(asked.intent == done.intent for asked, done in commands),
        unanswered=sum(not done.intent for _, done in commands),
        n_slots=sum(len(asked.slots) for asked, _ in commands),
        filled=sum(len(done.slots) for _, done in commands),
        slots=sum(len(asked.slots.items() & done.slots.items()) for asked, done in commands),
        n_others=len(others), false_actions=sum(bool(done.intent) for done in others),
    )


def _share(n: int, of: int) -> float:
    return n / of if of else float("nan")


def _known(value: float) -> float | None:
    return None if value != value else value
