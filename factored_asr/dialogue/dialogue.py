"""A dialogue: acts, the state of the devices and earlier actions give the next actions.

``step`` is a pure function (state, possible utterances, world) → (state, outcome).
:class:`Dialogue` keeps the state. A journal keeps every action with the state before, to take it
back; an action that needs care is never done as the opposite of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from factored_asr.dialogue.acts import Act, Utterance
from factored_asr.dialogue.memory import Memory, Outcome
from factored_asr.dialogue.reader import Reader
from factored_asr.dialogue.scene import Scene
from factored_asr.dialogue.turn import Turn
from factored_asr.dialogue.world import World
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import CompiledGrammar
from factored_asr.understanding.parse import Understander

MARGIN = 0.05  # of weights between the two likeliest outcomes; ask below it
HEARD_MARGIN = 0.6  # the same for a lattice, whose posteriors are too sharp
N_BEST = 20  # word strings of a lattice that are parsed
GOES_ON = "and "
"""What begins so goes on with something: said first, or of what was missed, it is asked about."""
MISSED = ("background", "denied", "speech-outside")
"""Codes of rejections of what may have been said to the dialogue; noise has others."""


class Dialogue:
    """A dialogue about one world.

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

    def __init__(self, grammar: Grammar | CompiledGrammar, world: World,
                 context: Mapping[str, object] | None = None):
        self.reader = Reader(Understander(grammar))
        self.world, self.context = world, context
        self.memory = Memory(world.start())

    def hear(self, said: Any, *, at: float | None = None) -> Outcome:
        """Return the outcome of an utterance.

        ``said`` is text; or a list of (text, posterior); or a transcript: the ``N_BEST`` likeliest
        word strings of its lattice, or its text if it has none. A transcript that was rejected says
        nothing; what then refers to the turn before ("turn it off", "no the hall") is asked about,
        as it may mean what was missed. `Outcome.explain` shows what was weighed. ``at`` is the time
        in seconds, by default that of the last utterance.
        """
        if at is not None:
            self.wait(at - self.memory.time)
        scene = self.memory.scene(tuple(self.world.start()))
        guesses = [(self.reader.read(text, self.context, scene), posterior)
                   for text, posterior in _texts(said)]
        recognised = getattr(said, "lattice", None) is not None
        if self.memory.missed or recognised and not scene.turns:
            guesses = [(replace(each, refers=self._refers(each)), p) for each, p in guesses]
        margin = HEARD_MARGIN if recognised else MARGIN
        memory, outcome = step(self.memory, guesses, self.world, margin)
        rejected = getattr(said, "rejection", None)
        self.memory = replace(memory, missed=rejected is not None and rejected.code in MISSED)
        return outcome

    def _refers(self, utterance: Utterance) -> bool:
        """Return True if an utterance says something else, or nothing, when it comes first."""
        kinds = {each.kind for each in utterance.acts}
        bare = kinds == {"correction"} and not self.memory.asked
        if bare or utterance.text.startswith(GOES_ON):
            return True
        alone = self.reader.read(utterance.text, self.context,
                                 Scene((), tuple(self.world.start())))
        return alone.acts != utterance.acts

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.memory = replace(self.memory, time=self.memory.time + max(0.0, seconds))


def _texts(said: Any) -> list[tuple[str, float]]:
    if isinstance(said, str):
        return [(said, 1.0)]
    if isinstance(said, Sequence):
        return [(str(text), float(posterior)) for text, posterior in said]
    lattice = getattr(said, "lattice", None)
    if lattice is None or not len(lattice.arc_source) or not said.text:
        return [(str(said.text), 1.0)]  # no lattice, or a rejected command
    from factored_asr.lattice import word_strings

    strings, _ = word_strings(lattice, N_BEST)
    return [(" ".join(string.words), string.probability) for string in strings]


def step(
    memory: Memory, guesses: Sequence[tuple[Utterance, float]], world: World,
    margin: float = MARGIN,
) -> tuple[Memory, Outcome]:
    """Return the memory and the outcome after one turn, from the memory before.

    ``guesses`` are possible utterances with posteriors. Each is weighed by how much it is expected
    (expectation.py), and those that would do the same are added up. If the likeliest outcome leads
    the next by less than ``margin``, 0 to 1, of all weights, nothing is done but a question asked.
    The same goes for what refers to a turn before that is not known.

    Examples
    --------
    >>> from factored_asr.dialogue.acts import act
    >>> from factored_asr.understanding import Interpretation
    >>> world = World.from_data({"light": {"places": ["hall"], "acts": {"On": "on", "Off": "off"}}})
    >>> on = Interpretation("On", {"kind": "light", "place": "hall"}, "turn on the hall light")
    >>> said = Utterance(on.text, (act("command", on, on.text.split()),))
    >>> memory, outcome = step(Memory({"hall light": "off"}), [(said, 1.0)], world)
    >>> outcome.actions, memory.states["hall light"]
    (('on hall light',), 'on')
    """
    ranked = _added_up(guesses)
    turn = Turn(replace(memory, turn=memory.turn + 1), world)
    readings = sorted((turn.reading(*guess) for guess in ranked), key=lambda r: -r.weight)
    effects = dict[object, float]()
    for each in readings:
        effects[each.effect] = effects.get(each.effect, 0.0) + each.weight
    best = max(readings, key=lambda r: (effects[r.effect], r.weight), default=None)
    utterance, posterior = (best.utterance, best.posterior) if best else (Utterance(""), 0.0)
    others = tuple(guess for guess in ranked if guess[0] is not utterance)
    total = sum(effects.values()) or 1.0
    likely = sorted(effects.values(), reverse=True)
    close = len(likely) > 1 and likely[0] - likely[1] < margin * total
    if close or utterance.refers or turn.needs_certainty(ranked, utterance):
        turn.ask_whether(utterance)
    else:
        turn.act_on(utterance)
    whole = max(sum(p for _, p in ranked), 1.0)
    alternatives = [replace(guess, confidence=p / whole).interpretation for guess, p in others]
    chosen = replace(utterance, confidence=posterior / whole,
                     alternatives=tuple(found for found in alternatives if found is not None))
    memory, outcome = turn.finish(chosen, others)
    return memory, replace(outcome, readings=tuple(readings))


def _added_up(guesses: Sequence[tuple[Utterance, float]]) -> list[tuple[Utterance, float]]:
    """Return meanings with the summed posteriors of their wordings, likeliest first."""
    sums: dict[tuple[Act, ...], tuple[Utterance, float]] = {}
    for utterance, posterior in guesses:
        first, so_far = sums.get(utterance.acts, (utterance, 0.0))
        sums[utterance.acts] = first, so_far + posterior
    return sorted(sums.values(), key=lambda guess: -guess[1])
