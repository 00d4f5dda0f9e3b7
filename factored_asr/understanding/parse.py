"""Intent and slots of a sentence, read by composing it with the compiled grammar.

The walk goes through the sentence position by position with the network states that the words so
far can reach. List values are found in one trie over all lists, so a list is one step of the walk,
whatever its size. Every way through whose context fits is a reading; the best one has

0. the least cost of what the channel leaves out (nothing, where nothing may be left out),
1. the fewest wildcards,
2. the longest single name (a list value that is no number): "bedroom lamp" is the lamp of that
   name before it is a lamp in the bedroom,
3. the most literal text,
4. the fewest words left to wildcards,
5. the fewest words skipped,
6. the most slots filled; then the first intent by name, the first template by place.

Without 2, 5 and 6 this is the order of hassil's ``recognize_best``. Skip words may stand between
words and list values, not inside a list value; next to a wildcard at an end of the sentence they
belong to it.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from factored_asr.language.grammar import DfaState, Grammar, ListSymbol, Mark, Network, tokens
from factored_asr.language.grammar.compiled import CompiledGrammar
from factored_asr.language.grammar.templates import Template
from factored_asr.understanding.channel import Deletion
from factored_asr.understanding.interpretation import Costs, Interpretation, Slot

MAX_WORDS = 200  # in a sentence; the time for wildcards grows with their square
MAX_READINGS = 2_000  # of one sentence that are compared; wildcards can make millions

_Skipped: TypeAlias = None
# What one step read: an arc's symbol and, of a list, which value; None: skip words; a Deletion:
# words that the channel took out.
_Read: TypeAlias = tuple["str | ListSymbol | Mark | Deletion | _Skipped", int]
# A step seen backwards: position and state it came from, and what it read.
_Step: TypeAlias = tuple[int, DfaState, _Read]
# One reading: (first word, end, what was read), in order.
_Path: TypeAlias = list[tuple[int, int, _Read]]


class Understander:
    """Reads sentences with one grammar; may be shared between threads.

    Examples
    --------
    >>> grammar = Grammar.from_text('''
    ... language: en
    ... intents: {Heat: {data: [{sentences: ["set [the] {room} [heating] to {degrees}[°]"]}]}}
    ... lists: {room: {values: [kitchen, living room]}, degrees: {range: {from: 5, to: 30}}}
    ... ''')
    >>> Understander(grammar).parse("set the living room to twenty one").slots
    {'room': 'living room', 'degrees': 21}
    """

    def __init__(self, grammar: Grammar | CompiledGrammar):
        self.grammar = grammar
        self._skips: dict[str, list[tuple[str, ...]]] = {}
        for phrase in grammar.skip_words:
            self._skips.setdefault(phrase[0], []).append(phrase)

    def may_begin(self, word: str) -> bool:
        """Return whether a sentence may begin with a word; True if that takes longer to find out.
        """
        start = self.grammar.network.start
        if not start.expanded:
            self.grammar.network.expand(start)
        return bool(word in start.words or start.lists or start.wildcards or start.marks
                    or self._skips)

    def parse(
        self, words: str | Sequence[str], context: Mapping[str, object] | None = None,
        deletions: Sequence[Deletion] = (),
    ) -> Interpretation | None:
        """Return the best reading of a sentence; None if the grammar has none.

        Parameters
        ----------
        words
            Text, or its words (as a recogniser gives them).
        context
            What is known in addition, such as ``{"area": "kitchen"}``, for templates that require,
            exclude or use it.
        deletions
            Words that may be deleted, with costs (see ``channel.deletions``): the fewest are best.
        """
        return next(self._ranked(words, context or {}, deletions), None)

    def readings(
        self, words: str | Sequence[str], context: Mapping[str, object] | None = None
    ) -> list[Interpretation]:
        """Return all readings with different intent or slots, best first."""
        found: list[Interpretation] = []
        for reading in self._ranked(words, context or {}):
            if reading not in found:
                found.append(reading)
        return found

    def _ranked(
        self, words: str | Sequence[str], context: Mapping[str, object],
        deletions: Sequence[Deletion] = (),
    ) -> Iterator[Interpretation]:
        sentence = _Sentence(words if isinstance(words, str) else " ".join(words))
        if not 0 < len(sentence.words) <= MAX_WORDS:
            return
        walk = _Walk(self.grammar.network, sentence.words, self._skips, deletions)
        scored = []
        for path, ends in itertools.islice(walk.paths(), MAX_READINGS):
            if (score := _score(path)) is not None:
                for t in ends:
                    block = self.grammar.templates[t].block
                    scored.append(((*score, -len(block.slots), block.intent, t), path))
        for rank, path in sorted(scored, key=lambda entry: entry[0]):
            reading = _interpret(sentence, path, self.grammar.templates[rank[-1]], context)
            if reading is not None:
                yield replace(reading, costs=Costs(channel=rank[0])) if deletions else reading


def parse(
    grammar: Grammar | CompiledGrammar, words: str | Sequence[str],
    context: Mapping[str, object] | None = None,
) -> Interpretation | None:
    """Return the best reading of one sentence; see :meth:`Understander.parse`.

    Examples
    --------
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <stop> = [please] stop;")
    >>> parse(grammar, "Stop!").intent
    'stop'
    """
    return Understander(grammar).parse(words, context)


class _Sentence:
    """A sentence as normalised words with their places in the text."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = tokens(text)
        self.words = [token.word for token in self.tokens]

    def slice(self, start: int, end: int) -> str:
        """Return the text of words ``start`` … ``end - 1``."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end] if end > start else ""

    def slot(self, name: str, value: object, start: int, end: int) -> Slot:
        """Return a slot over these words, with its place in the words of the text."""
        starts = [match.start() for match in re.finditer(r"\S+", self.text)]
        first = bisect_right(starts, self.tokens[min(start, len(self.tokens) - 1)].start) - 1
        last = bisect_right(starts, self.tokens[end - 1].start) - 1 if end > start else first - 1
        text = self.slice(start, end)
        return Slot(name, text if value is None else value, text, first, last + 1)


class _Walk:
    """All paths of one sentence through the network."""

    def __init__(
        self, network: Network, words: list[str], skips: Mapping[str, list[tuple[str, ...]]],
        deletions: Sequence[Deletion],
    ):
        self.network, self.words, self.skips = network, words, skips
        self.deletions = defaultdict[int, list[Deletion]](list)
        for deletion in deletions:
            self.deletions[deletion.start].append(deletion)
        self.reached: list[dict[DfaState, list[_Step]]] = [{} for _ in range(len(words) + 1)]
        self.reached[0][network.start] = []
        for position in range(len(words) + 1):
            self._advance(position)

    def _advance(self, position: int) -> None:
        """Follow all arcs from this position."""
        here, n = self.reached[position], len(self.words)
        matches: dict[int, list[tuple[int, int]]] | None = None
        waiting = list(here)
        for state in waiting:
            if not state.expanded:
                self.network.expand(state)
            for mark, target in state.marks:
                if target not in here:
                    waiting.append(target)
                here.setdefault(target, []).append((position, state, (mark, 0)))
            if position == n:
                continue
            word = self.words[position]
            if (follower := state.words.get(word)) is not None:
                self._reach(position + 1, follower, (position, state, (word, 0)))
            if state.lists:
                if matches is None:
                    matches = self._matches(position)
                if matches:
                    for symbol, key, target in state.lists:
                        for end, value in matches.get(key, ()):
                            if symbol.allowed is None or value in symbol.allowed:
                                self._reach(end, target, (position, state, (symbol, value)))
            for symbol, target in state.wildcards:
                for end in range(position + 1, n + 1):
                    self._reach(end, target, (position, state, (symbol, 0)))
        self._skip(position)

    def _reach(self, position: int, state: DfaState, step: _Step) -> None:
        self.reached[position].setdefault(state, []).append(step)

    def _matches(self, position: int) -> dict[int, list[tuple[int, int]]]:
        """Find list values from this position on: list key -> [(end, value index)]."""
        found: dict[int, list[tuple[int, int]]] = {}
        node: Any = self.network.trie
        for end in range(position, len(self.words)):
            node = node.get(self.words[end])
            if node is None:
                break
            for key, value in node.get(None, ()):
                found.setdefault(key, []).append((end + 1, value))
        return found

    def _skip(self, position: int) -> None:
        """Skip the skip words and deletions here, in every state."""
        if position == len(self.words):
            return
        for phrase in self.skips.get(self.words[position], ()):
            end = position + len(phrase)
            if tuple(self.words[position:end]) == phrase:
                for state in self.reached[position]:
                    self._reach(end, state, (position, state, (None, 0)))
        for deletion in self.deletions.get(position, ()):
            for state in self.reached[position]:
                self._reach(deletion.end, state, (position, state, (deletion, 0)))

    def paths(self) -> Iterator[tuple[_Path, tuple[int, ...]]]:
        """Yield every path through, with the templates that end there."""
        n = len(self.words)
        for last in self.reached[n]:
            if not last.templates:
                continue
            waiting: list[tuple[int, DfaState, Any]] = [(n, last, None)]
            while waiting:
                position, state, rest = waiting.pop()
                steps = self.reached[position][state]
                if not steps:  # the start
                    yield _unlinked(rest), last.templates
                for source, previous, read in steps:
                    waiting.append((source, previous, ((source, position, read), rest)))


def _unlinked(cell: Any) -> _Path:
    path = []
    while cell is not None:
        step, cell = cell
        path.append(step)
    return path


def _is_wildcard(read: _Read) -> bool:
    return isinstance(read[0], ListSymbol) and read[0].list.wildcard


def _score(path: _Path) -> tuple[float, int, int, int, int, int, int] | None:
    """Return the rank of a reading, lower is better; None if it may not skip its skip words.

    At an end of the sentence skip words belong to a wildcard next to them, and a sentence of skip
    words has no meaning.
    """
    wildcards = longest = literal = wild = skipped = slots = 0
    deleted = 0.0
    for start, end, read in path:
        symbol = read[0]
        if isinstance(symbol, str):
            literal += len(symbol)
        elif symbol is None:
            skipped += end - start
        elif isinstance(symbol, Deletion):
            skipped += end - start
            deleted += symbol.cost
        elif isinstance(symbol, ListSymbol):
            slots += 1
            if symbol.list.wildcard:
                wildcards += 1
                wild += end - start
            elif not symbol.list.is_range:
                longest = max(longest, end - start)
    if skipped == sum(end - start for start, end, _ in path):
        return None
    if skipped and wildcards:
        for side in (path, path[::-1]):
            first = next((read for _, _, read in side if read[0] is not None), None)
            if side[0][2][0] is None and first is not None and _is_wildcard(first):
                return None
    return deleted, wildcards, -longest, -literal, wild, skipped, -slots


def _interpret(
    sentence: _Sentence, path: _Path, template: Template, context: Mapping[str, object]
) -> Interpretation | None:
    """Return the reading by one template; None if the context or a keyword forbids it."""
    block = template.block
    if block.required_keywords and block.required_keywords.isdisjoint(sentence.words):
        return None
    known = dict(context)
    for _, _, (symbol, value) in path:
        if isinstance(symbol, ListSymbol) and not symbol.list.wildcard:
            known.update(symbol.list.values[value].context)
    from_context = block.context_slots(known)
    if from_context is None:
        return None
    filled = list(_slots(sentence, path))
    slots = {**block.slots, **from_context, **{slot.name: slot.value for slot in filled}}
    return Interpretation(
        str(slots.pop("intent", block.intent)), slots, sentence.text,
        spans=tuple(slot for slot in filled if slot.name != "intent"),
        template=f"{template.path}:{template.line}: {template.text}",
        trace=tuple(
            f"{read[0].why}: {sentence.slice(start, end)!r} is left out"
            for start, end, read in path if isinstance(read[0], Deletion)
        ),
    )


def _slots(sentence: _Sentence, path: _Path) -> Iterator[Slot]:
    begun: list[int] = []
    for start, end, (symbol, value) in path:
        if isinstance(symbol, ListSymbol) and symbol.slot:
            if symbol.list.wildcard:
                yield replace(sentence.slot(symbol.slot, None, start, end), wildcard=True)
                continue
            chosen = symbol.list.values[value]
            slot = sentence.slot(symbol.slot, chosen.out, start, end)
            yield replace(slot, metadata=chosen.metadata) if chosen.metadata else slot
        elif isinstance(symbol, Mark):
            if symbol.begins:
                begun.append(start)
            else:
                yield sentence.slot(symbol.slot, symbol.value, begun.pop(), end)
