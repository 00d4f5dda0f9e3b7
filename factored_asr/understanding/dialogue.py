"""A conversation: what was understood, against what is and what was done, becomes what to do.

``step`` is a pure function (state, what may have been said, world) → (state, outcome).
:class:`Dialogue` keeps the state. Everything done is kept in a journal with what was before, so
that it can be taken back; nothing that wants care is done because it is the opposite of something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from factored_asr.understanding.acts import Act, Utterance
from factored_asr.understanding.reader import Reader, Scene
from factored_asr.understanding.world import Deed, Order, State, World

IN_MIND_SECONDS = 120.0  # how long "it", "no" and "undo" find what was said
IN_MIND_TURNS = 5
STOP_SECONDS = 30.0  # "stop" takes back only what has just begun
SECOND_CHANCE = 0.2  # posterior from which an alternative is done unasked
WORTH_ASKING = 0.02  # posterior from which it is asked about
IDLE = 0.25  # how much less likely a command is that would change nothing
MARGIN = 0.05  # between the two best meanings, below which is asked


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
    """The state of a conversation."""

    states: Mapping[str, State]
    time: float = 0.0
    turn: int = 0
    journal: tuple[Entry, ...] = ()
    said: tuple[tuple[int, float, tuple[Act, ...]], ...] = ()
    """(turn, time, acts) of earlier turns, the latest first."""
    heard: tuple[tuple[Utterance, float], ...] = ()
    """What the last turn that acted may have been instead, with posteriors."""
    asked: tuple[Order, ...] = ()
    """What waits for a yes."""

    def in_mind(self, turn: int, time: float) -> bool:
        """True if something of that turn and time is still thought of."""
        return self.turn - turn <= IN_MIND_TURNS and self.time - time < IN_MIND_SECONDS

    def scene(self, names: Sequence[str]) -> Scene:
        """What pronouns and fragments may refer to."""
        acts = tuple(acts for turn, time, acts in self.said if self.in_mind(turn, time))
        return Scene(acts, tuple(names))

    def last(self) -> list[Entry]:
        """What the last turn that did something did, of its commands if there were any."""
        live = [e for e in self.journal if not e.undone and e.why != "undo"]
        entries = [e for e in live if e.turn == live[-1].turn]
        commanded = [e for e in entries if e.why == "command"] or entries
        return [e for e in commanded if self.in_mind(e.turn, e.time)]


@dataclass(frozen=True)
class Outcome:
    """What is to be done after an utterance."""

    actions: tuple[str, ...] = ()
    """In order: ``on kitchen light``, ``on all lights but hall``, ``set heating 20``."""
    ask: bool = False
    """Something must be asked before more is done."""
    question: str = ""
    utterance: Utterance = field(default_factory=lambda: Utterance(""))
    trace: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {"actions": list(self.actions), "ask": self.ask, "question": self.question}
        return {**plain, **self.utterance.to_dict(), "trace": list(self.trace)}


class Dialogue:
    """A conversation about one world.

    Examples
    --------
    >>> from factored_asr.language.grammar import Grammar
    >>> grammar = Grammar.from_text('''
    ... intents: {On: {data: [{sentences: ["turn on the {place} light"]}]}}
    ... lists: {place: {values: [kitchen, hall]}}
    ... ''')
    >>> world = World.from_data({
    ...     "light": {"places": ["kitchen", "hall"], "acts": {"On": "on", "Off": "off"}}})
    >>> dialogue = Dialogue(grammar, world)
    >>> dialogue.hear("turn on the kitchen light").actions
    ('on kitchen light',)
    >>> dialogue.hear("no the hall").actions
    ('off kitchen light', 'on hall light')
    """

    def __init__(self, grammar: Any, world: World, context: Mapping[str, object] | None = None):
        from factored_asr.understanding.parse import Understander

        self.reader = Reader(Understander(grammar))
        self.world, self.context = world, context
        self.memory = Memory(world.start())

    def hear(self, said: Any, *, at: float | None = None) -> Outcome:
        """Take in an utterance.

        Parameters
        ----------
        said
            Text; or a list of (text, posterior); or a transcript (its ``nbest()`` counts where
            it has a lattice, else its ``text``).
        at
            When, in seconds; by default no time has passed since the last one.
        """
        if at is not None:
            self.wait(at - self.memory.time)
        names = [device for kind in self.world.kinds.values() for device in kind.devices]
        scene = self.memory.scene(names)
        guesses = [
            (self.reader.read(text, self.context, scene), posterior)
            for text, posterior in _texts(said)
        ]
        self.memory, outcome = step(self.memory, guesses, self.world)
        return outcome

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.memory = replace(self.memory, time=self.memory.time + max(0.0, seconds))


def _texts(said: Any) -> list[tuple[str, float]]:
    if isinstance(said, str):
        return [(said, 1.0)]
    if isinstance(said, Sequence):
        return [(str(text), float(posterior)) for text, posterior in said]
    return [(str(said.text), 1.0)]


def step(
    memory: Memory, guesses: Sequence[tuple[Utterance, float]], world: World
) -> tuple[Memory, Outcome]:
    """One turn: choose what was said, do it, remember it.

    Parameters
    ----------
    memory
        The state before.
    guesses
        What may have been said, each with its posterior; those that mean the same add up.
    world
        The devices.
    """
    from factored_asr.understanding.turn import Turn

    ranked = _added_up(guesses)
    turn = Turn(replace(memory, turn=memory.turn + 1), world)
    weighed = sorted(
        ((posterior * turn.plausibility(u), -i) for i, (u, posterior) in enumerate(ranked)),
        reverse=True,
    )
    utterance, posterior = ranked[-weighed[0][1]] if weighed else (Utterance(""), 0.0)
    others = tuple(guess for guess in ranked if guess[0] is not utterance)
    total = sum(p for _, p in ranked) or 1.0
    close = len(weighed) > 1 and weighed[0][0] - weighed[1][0] < MARGIN * total
    reranked = weighed and weighed[0][1] != 0
    if close or turn.needs_certainty(utterance, others, total, bool(reranked)):
        turn.ask_whether(utterance)
    else:
        turn.act_on(utterance)
    return turn.finish(replace(utterance, confidence=posterior / max(total, 1.0)), others)


def _added_up(guesses: Sequence[tuple[Utterance, float]]) -> list[tuple[Utterance, float]]:
    """Meanings with the sum of the posteriors of all their wordings, likeliest first."""
    sums: dict[tuple[Act, ...], tuple[Utterance, float]] = {}
    for utterance, posterior in guesses:
        first, so_far = sums.get(utterance.acts, (utterance, 0.0))
        sums[utterance.acts] = first, so_far + posterior
    return sorted(sums.values(), key=lambda guess: -guess[1])


