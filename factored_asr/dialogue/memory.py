"""The memory of a dialogue: earlier acts and actions, and open questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from factored_asr.dialogue.acts import Act, Utterance
from factored_asr.dialogue.expectation import LEAST, MOST, Reading
from factored_asr.dialogue.scene import Scene
from factored_asr.dialogue.world import Deed, Order, State

IN_MIND_SECONDS = 120.0  # "it", "no" and "undo" refer to turns of this age at most
IN_MIND_TURNS = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed in the journal."""

    deed: Deed
    before: State
    turn: int
    time: float
    why: str
    """``command``, ``reversal`` or ``undo``."""
    whole: bool = False
    undone: bool = False

    @property
    def changed(self) -> bool:
        return self.before != self.deed.result


@dataclass(frozen=True)
class Memory:
    """The state of a dialogue.

    Examples
    --------
    >>> memory = Memory({"hall light": "off"})
    >>> memory.states["hall light"], memory.turn, memory.last()
    ('off', 0, [])
    """

    states: Mapping[str, State]
    """State of each device, by its name."""
    time: float = 0.0
    """Time of the last turn, seconds."""
    turn: int = 0
    """Number of the last turn; 0 before the first."""
    journal: tuple[Entry, ...] = ()
    """What was done, in order."""
    acts: tuple[tuple[int, float, tuple[Act, ...]], ...] = ()
    """(turn, time, acts) of earlier turns, the latest first."""
    guesses: tuple[tuple[Utterance, float], ...] = ()
    """Other readings of the last turn that did something, with posteriors."""
    asked: tuple[Order, ...] = ()
    """Orders that wait for a yes."""
    missed: bool = False
    """The last turn was speech that was not understood: a rejected command, for example."""

    def in_mind(self, turn: int, time: float) -> bool:
        """Return True if the dialogue may still refer to that turn and time."""
        return self.turn - turn <= IN_MIND_TURNS and self.time - time < IN_MIND_SECONDS

    def scene(self, names: tuple[str, ...]) -> Scene:
        """Return what pronouns and fragments may refer to."""
        return Scene(tuple(a for turn, time, a in self.acts if self.in_mind(turn, time)), names)

    def last(self) -> list[Entry]:
        """Return the deeds of the last turn that did something; of its commands if it had any."""
        live = [e for e in self.journal if not e.undone and e.why != "undo"]
        entries = [e for e in live if e.turn == live[-1].turn]
        commanded = [e for e in entries if e.why == "command"] or entries
        return [e for e in commanded if self.in_mind(e.turn, e.time)]


@dataclass(frozen=True)
class Outcome:
    """The actions after an utterance.

    Examples
    --------
    >>> outcome = Outcome(("on hall light",))
    >>> outcome.actions, outcome.ask
    (('on hall light',), False)
    """

    actions: tuple[str, ...] = ()
    """In order: ``on kitchen light``, ``on all lights but hall``, ``set heating 20``."""
    ask: bool = False
    """A question is open."""
    question: str = ""
    """The question to ask; empty if there is none."""
    utterance: Utterance = field(default_factory=lambda: Utterance(""))
    """The reading that was chosen."""
    trace: tuple[str, ...] = ()
    """The rules that led to the actions."""
    readings: tuple[Reading, ...] = field(default=(), compare=False)
    """All that may have been said, the likeliest first."""

    def explain(self) -> str:
        """Return a table of what may have been said, how much each was expected, and the rules.

        A reading counts by its posterior, from the recogniser, times a factor of 0.25 to 4 for what
        was just asked or done. Readings that would do the same count together.
        """
        lines = [f"expected times {LEAST:g} to {MOST:g}:"]
        for each in self.readings:
            done = ", ".join(each.actions) or ("a question" if each.asks else "nothing")
            why = f" ({each.why})" if each.why else ""
            lines.append(f"  {each.posterior:.3f} x {each.factor:g} {each.utterance.text!r}{why}: "
                         f"{done}")
        return "\n".join([*lines, "rules:", *(f"  {line}" for line in self.trace)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        plain = {"actions": list(self.actions), "ask": self.ask, "question": self.question}
        return {**plain, **self.utterance.to_dict(), "trace": list(self.trace)}
