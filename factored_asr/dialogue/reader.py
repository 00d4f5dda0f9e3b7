"""Read sentences as acts: by the grammar, and by the rules of acts.yaml around it.

``Reader.read`` is a pure function of the words and of the scene, the acts shortly before. A phrase
is read as

1. a sentence of the grammar, exactly, or with repetitions and restarts left out;
2. a rule whose parts can be read in their turn, the first that can;
3. a sentence of the grammar with soft words left out;
4. a sentence that points ("it") or lacks what the scene supplies ("the hall");
5. two sentences one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from factored_asr.dialogue.acts import Act, Utterance, act
from factored_asr.dialogue.ellipsis import Parse, complete, pointing, resolve
from factored_asr.dialogue.frames import Frame, Words, frames
from factored_asr.dialogue.rules import RULES_BY_NAME
from factored_asr.dialogue.scene import NOTHING_SAID, Found, Scene
from factored_asr.language.grammar.normalisation import tokens
from factored_asr.understanding.channel import Deletion, deletions, noise
from factored_asr.understanding.interpretation import Interpretation
from factored_asr.understanding.parse import MAX_WORDS, Understander

POLAR = frozenset(("no", "not", "don't", "dont", "do", "never", "stop", "nope"))
REPAIRED = ("i", "mean")  # what a hesitation may stand for
MAX_RULED = 60  # words; in longer sentences only the grammar is tried


class Reader:
    """Reads utterances with one grammar; may be shared between threads.

    Examples
    --------
    >>> from factored_asr.language.grammar import Grammar
    >>> reader = Reader(Understander(Grammar.from_text('''
    ... intents: {On: {data: [{sentences: ["turn on the {room} light"]}]}}
    ... lists: {room: {values: [kitchen, hall]}}
    ... ''')))
    >>> [a.to_dict() for a in reader.read("no don't turn on the the hall light please").acts]
    [{'act': 'correction'}, {'act': 'deny', 'intent': 'On', 'slots': {'room': 'hall'}}]
    """

    def __init__(self, understander: Understander):
        self.understander = understander

    def read(
        self, text: str | Sequence[str], context: Mapping[str, object] | None = None,
        scene: Scene = NOTHING_SAID,
    ) -> Utterance:
        """Return the acts of a sentence (text or words); none if nothing fits.

        ``context`` is that of :meth:`Understander.parse`; without the acts before, in ``scene``,
        pronouns and fragments find nothing.
        """
        text = text if isinstance(text, str) else " ".join(text)
        exact = self.understander.parse(text, context)
        words = tuple(token.word for token in tokens(text))
        wild = exact is not None and any(slot.wildcard for slot in exact.spans)
        if exact is not None and not wild:
            return Utterance(text, (act("command", exact, words),), (f"grammar: {exact.template}",))
        found, dropped = None, noise(words)
        if 0 < len(words) <= MAX_WORDS:
            kept = _without(words, dropped)
            reading = Reading(self.understander, context)
            found = reading.read(kept, scene) or self._hesitant(words, dropped, reading, scene)
            if found is None and dropped:  # "if you wouldn't mind turning …"
                found, dropped = reading.read(words, scene), []
        if found is None:
            return Utterance(text)
        trace = [f"{d.why}: {' '.join(words[d.start : d.end])!r} is left out" for d in dropped]
        return Utterance(text, found.acts, (*trace, *found.trace))

    def _hesitant(
        self, words: Words, dropped: Sequence[Deletion], reading: Reading, scene: Scene
    ) -> Found | None:
        """A hesitation may be where a repair begins: "the bedroom er the bathroom light"."""
        for hesitation in dropped:
            if hesitation.why == "filler" and hesitation.start > 0:
                before = [d for d in dropped if d.end <= hesitation.start]
                after = [d for d in dropped if d.start >= hesitation.end]
                start = _without(words[: hesitation.start], before)
                end = _without(words, [*before, hesitation, *after])[len(start) :]
                if found := reading.read((*start, *REPAIRED, *end), scene):
                    return found
        return None


class Reading:
    """One utterance being read; what was found for a phrase is remembered."""

    def __init__(self, understander: Understander, context: Mapping[str, object] | None):
        self.understander, self.context = understander, context
        self.known: dict[tuple[Words, Scene, bool], Found | None] = {}
        self.parsed: dict[Words, Interpretation | None] = {}

    def parse(self, words: Words) -> Interpretation | None:
        """Return the grammar's reading of exactly these words."""
        if words not in self.parsed:
            self.parsed[words] = self.understander.parse(" ".join(words), self.context)
        return self.parsed[words]

    def exactly(self, words: Words) -> Found | None:
        """A sentence of the grammar; wildcards keep only what is their own.

        Copies of neighbouring words are deleted ("cancel cancel the timer"), inside wildcards only
        if they then cover less ("the kitchen kitchen timer").
        """
        reading = self.parse(words)
        if reading is None:
            return None
        found = Found((act("command", reading, words),), (f"grammar: {reading.template}",))
        if not (wild := _wild(reading)):
            return found
        if words[0] in POLAR and any(slot.wildcard and slot.start == 0 for slot in reading.spans):
            return None
        copies = [copy for copy in deletions(words) if copy.why != "soft"]
        shorter = [f for copy in copies if (f := self.exactly(_without(words, [copy])))]
        ranked = [(len(w := _wild(f.acts[0].reading)), sum(map(len, w)), f) for f in shorter]
        if ranked:
            n_wild, n_words, best = min(ranked, key=lambda entry: entry[:2])
            gone = len(words) - len(best.acts[0].words)
            spared = n_wild < len(wild) or n_words + gone < sum(map(len, wild))
            if spared or _astride(wild, copies, len(words)):
                return replace(best, trace=("repeated words are left out", *best.trace))
        return found

    def read(self, words: Words, scene: Scene, lists: bool = True) -> Found | None:
        """Read a phrase; ``lists``: phrases side by side may be a list."""
        key = (words, scene, lists)
        if key not in self.known:
            self.known[key] = None  # a phrase that contains itself says nothing
            self.known[key] = self._read(words, scene, lists) if words else None
        return self.known[key]

    def _read(self, words: Words, scene: Scene, lists: bool) -> Found | None:
        found = self.exactly(words)
        if found is not None or len(words) > MAX_RULED:
            return found
        every = deletions(words)
        copies = [d for d in every if d.why != "soft"]
        found = self.leaving_out(words, copies) if copies else None
        found = found or self.pointed(words, scene, self.parse) or self.by_rule(words, scene)
        if found and copies and not found.moves:  # "i i want you to …" is no report
            shorter = (self.read(_without(words, [copy]), scene, lists) for copy in copies)
            found = next((other for other in shorter if other and other.moves), found)
        found = found or self.pointed(words, scene, self.parse_softly)
        if found is None and every:
            found = self.leaving_out(words, every)
        found = found or self.fragment(words, scene) or self.at_nothing(words, scene)
        for copy in copies:
            found = found or self.read(_without(words, [copy]), scene, lists)
        return found or (self.side_by_side(words, scene) if lists else None)

    def leaving_out(self, words: Words, some: Sequence[Deletion]) -> Found | None:
        """A sentence of the grammar once some words are left out, as few as may be."""
        reading = self.understander.parse(" ".join(words), self.context, some)
        if reading is None:
            return None
        trace = (*reading.trace, f"grammar: {reading.template}")
        return Found((act("command", reading, words),), trace)

    def by_rule(self, words: Words, scene: Scene) -> Found | None:
        """The first rule of acts.yaml that fits and whose parts can be read."""
        still: Found | None = None  # what moves nothing waits for other ways of the same rule
        rule = ""
        for frame in frames().fitting(words):
            if still and frame.rule != rule:
                return still
            found, rule = RULES_BY_NAME[frame.rule](self, frame, scene), frame.rule
            if found is not None:
                found = replace(found, trace=(f"{rule}: {_parts(frame)}", *found.trace))
                if found.moves:
                    return found
                still = still or found
        return still

    def pointed(self, words: Words, scene: Scene, parse: Parse) -> Found | None:
        """Read a sentence whose pronouns refer to earlier acts."""
        for start, end, kind in pointing(words, frames().pronouns):
            if kind == "many" and (found := self.many(words, start, end, scene, parse)):
                return found
            for base in (a for turn in scene.turns for a in _latest_first(turn)):
                if base.note != "except" and (
                    resolved := resolve(words, start, end, kind, base, parse)
                ):
                    pronoun = " ".join(words[start:end])
                    trace = f"pointing: {pronoun!r} in {' '.join(resolved.words)!r}"
                    return Found((resolved,), (trace,), elliptical=True)
        return None

    def at_nothing(self, words: Words, scene: Scene) -> Found | None:
        """Read a sentence with a pronoun without antecedent."""
        for start, end, _ in pointing(words, frames().pronouns):
            for name in scene.names:
                if self.parse_softly(words[:start] + tuple(name.split()) + words[end:]):
                    trace = f"pointing: {' '.join(words[start:end])!r} at nothing"
                    return Found((act("command", note="it"),), (trace,))
        return None

    def many(self, words: Words, start: int, end: int, scene: Scene, parse: Parse) -> Found | None:
        """ "Them": what the last turn that fits spoke of, or one thing each of several turns."""
        gathered: list[Act] = []
        denied_since = set[object]()
        for turn in scene.turns:
            denied_since |= {a.meaning for a in turn if a.kind == "deny" and not a.note}
            bases = [a for a in _things_of(turn) if a.meaning not in denied_since]
            found = [(a, resolve(words, start, end, "many", a, parse)) for a in bases]
            acts = [replace(new, note=a.note) for a, new in found if new is not None]
            if not acts and gathered:
                break
            gathered = [*acts, *gathered]
            plural = any(word.endswith("s") for a in bases for word in a.words if len(word) > 4)
            if len(acts) > 1 or plural and "both" not in words:
                break  # "the blinds" are more than one already
        distinct = tuple({a.meaning: a for a in gathered}.values())
        acts = [replace(a, kind="deny") if a.note == "except" else a for a in distinct]
        trace = f"pointing: {' '.join(words[start:end])!r} at {len(acts)} before"
        return Found(tuple(acts), (trace,), elliptical=True) if acts else None

    def parse_softly(self, words: Words) -> Interpretation | None:
        """The grammar's reading, soft words left out where need be."""
        reading = self.parse(words)
        if reading is None and (some := [d for d in deletions(words) if d.why == "soft"]):
            reading = self.understander.parse(" ".join(words), self.context, some)
        return reading

    def fragment(self, words: Words, scene: Scene) -> Found | None:
        """A part of a sentence, in the place of a part of the last one."""
        completed = scene.base and complete(words, scene.base, self.parse)
        if not completed:
            return None
        trace = f"completed: {' '.join(words)!r} to {' '.join(completed.words)!r}"
        return Found((completed,), (trace,), elliptical=True)

    def side_by_side(self, words: Words, scene: Scene) -> Found | None:
        """Two sentences without a word between them, or a list that ends in "and"."""
        for middle in range(len(words) - 1, 0, -1):
            left = self.exactly(words[:middle])
            right = self.read(words[middle:], scene.after(left.acts)) if left else None
            listed = words[middle] in ("the", "my", "our") and "and" in words[middle:]
            if left and right and (listed or not right.elliptical):
                return Found(left.acts + right.acts, left.trace + right.trace, right.elliptical)
        return None


def _latest_first(turn: Sequence[Act]) -> list[Act]:
    """Sort acts as antecedents: commands first, then the latest."""
    return sorted(reversed(turn), key=lambda a: a.kind != "command")


def _things_of(turn: Sequence[Act]) -> list[Act]:
    """Return the antecedents of "them": commands and exceptions of a turn, else its denials."""
    commanded = [a for a in turn if a.kind == "command" or a.note == "except"]
    return commanded if any(a.kind == "command" for a in commanded) else list(turn)


def _parts(frame: Frame) -> str:
    return ", ".join(repr(" ".join(words)) for _, words in sorted(frame.parts.items()))


def _without(words: Words, dropped: Iterable[Deletion]) -> Words:
    gone = {i for d in dropped for i in range(d.start, d.end)}
    return tuple(word for i, word in enumerate(words) if i not in gone)


def _wild(reading: Interpretation | None) -> list[range]:
    """The words that wildcards took."""
    return [range(s.start, s.end) for s in reading.spans if s.wildcard] if reading else []


def _astride(wild: Sequence[range], copies: Iterable[Deletion], n: int) -> bool:
    """True if of two copies one is a wildcard's and the other is not.

    Within one wildcard a phrase may stand twice ("play new york new york").
    """
    for copy in copies:
        if copy.why == "repetition":
            continue  # the other copy's deletion tells of both
        both = range(copy.start, min(2 * copy.end - copy.start, n))
        touched = any(i in span for span in wild for i in both)
        if touched and not any(both[0] in span and both[-1] in span for span in wild):
            return True
    return False
