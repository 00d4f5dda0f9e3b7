"""A compiled grammar: one network over words, lists and slots, which gives G and the parser.

Templates become arcs between states, with rules expanded in place. A list is one arc, whatever its
size: the network stays small, a wildcard costs nothing, and the subset construction, done lazily
while sentences are parsed, has little to do. As ``fan[s] {area}'s`` joins text to text and text to
lists, the last word is kept open (``_Open``) until a blank closes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TypeAlias

from factored_asr.language.grammar import expression as tree
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.templates import Block, Template, ValueList
from factored_asr.language.written import Known


@dataclass(frozen=True, slots=True)
class ListSymbol:
    """An arc that stands for the values of a list, one of which fills a slot."""

    list: ValueList
    slot: str
    prefix: str = ""  # Text joined to the first word of the value, as in ``un{state}``
    suffix: str = ""  # Text joined to its last word, as in ``{area}'s``
    allowed: frozenset[int] | None = None
    """Indices of the values that the template's context allows; None: all."""

    @property
    def key(self) -> tuple[ValueList, str, str]:
        """List, prefix and suffix, which together give the words."""
        return self.list, self.prefix, self.suffix

    @property
    def place(self) -> str:
        """What stands for a replaceable list in G: "{contact}", "{contact}'s"."""
        return f"{self.prefix}{{{self.list.name}}}{self.suffix}"

    def word_forms(self) -> dict[tuple[str, ...], float]:
        """Return all forms of its values, each with its cost; 0 where no use is counted."""
        fit = [
            value for index, value in enumerate(self.list.values)
            if self.allowed is None or index in self.allowed
        ]
        costs = counted_costs(value.count for value in fit)
        forms: dict[tuple[str, ...], float] = {}
        for value, cost in zip(fit, costs, strict=True):
            for form in value.forms:
                words = joined(form, self.prefix, self.suffix)
                forms[words] = min(cost, forms.get(words, cost))
        return forms


@dataclass(frozen=True, slots=True)
class Mark:
    """An arc without words: a tagged phrase begins (``begins``) or ends here."""

    slot: str
    value: str | None
    begins: bool


Symbol: TypeAlias = str | ListSymbol | Mark | None  # None is epsilon
Arc: TypeAlias = tuple[Symbol, int, float]  # symbol, target, cost
# An unfinished word; or a list with the text joined before and after it.
_Open: TypeAlias = str | tuple[str, tree.ListReference, str]
_Ends: TypeAlias = dict[tuple[int, _Open], float]  # (state, open word) -> cost not yet on an arc


MAX_JOINED = 10_000  # beginnings of one word, as in "[un|re][do|make]ing"
_WORD_END = re.compile(r"[^\W\d_](?:[^\W\d_]|')*$")  # of the text before a list, what joins it
_WORD_START = re.compile(r"^(?:[^\W\d_]+(?:'[^\W\d_]+)*|(?:'[^\W\d_]+)+)")


@dataclass(eq=False, slots=True)
class DfaState:
    """A set of network states that the same words reach; its arcs are filled in on first use."""

    members: frozenset[int]
    templates: tuple[int, ...]
    """Templates that end here."""
    expanded: bool = False
    words: dict[str, DfaState] = field(default_factory=dict)
    lists: list[tuple[ListSymbol, int, DfaState]] = field(default_factory=list)
    wildcards: list[tuple[ListSymbol, DfaState]] = field(default_factory=list)
    marks: list[tuple[Mark, DfaState]] = field(default_factory=list)


class Network:
    """Arcs of all templates from one start state, walked as a deterministic automaton.

    ``arcs[s]`` are the arcs that leave state ``s``; ``finals[s]`` is the template that ends there.
    """

    def __init__(self, templates: Iterable[Template], known: Known | None = None):
        self.known = known
        """Says which spellings are words, which are kept whole."""
        self.arcs: list[list[Arc]] = [[]]
        self.finals: dict[int, int] = {}
        self.owners: list[int] = [-1]
        """The template that each state belongs to; -1 for the start."""
        self.list_keys: dict[tuple[ValueList, str, str], int] = {}
        self.allowed: dict[tuple[Block, ValueList], frozenset[int] | None] = {}
        """Which values of a list the context of a block allows, see ``Block.allowed``."""
        self._states: dict[frozenset[int], DfaState] = {}
        templates = list(templates)
        costs = counted_costs(template.count for template in templates)
        for index, (template, cost) in enumerate(zip(templates, costs, strict=True)):
            self.finals[_Compiler(self, template).lay(cost)] = index
            self.owners += [index] * (len(self.arcs) - len(self.owners))
        self.start = self._state([0])

    @classmethod
    def restored(cls, arcs: list[list[Arc]], finals: dict[int, int]) -> Network:
        """Return the network of arcs read from a file; its states have no owners."""
        network = cls(())
        network.arcs, network.finals, network._states = arcs, finals, {}
        for symbol in dict.fromkeys(symbol for row in arcs for symbol, _, _ in row):
            if isinstance(symbol, ListSymbol) and not symbol.list.wildcard:
                network.list_keys.setdefault(symbol.key, len(network.list_keys))
        network.start = network._state([0])
        return network

    def with_lists(self, lists: Mapping[str, ValueList]) -> Network:
        """Return the network with other values of its replaceable lists, by their names."""
        made: dict[ListSymbol, ListSymbol] = {}

        def new(symbol: Symbol) -> Symbol:
            if not isinstance(symbol, ListSymbol) or not symbol.list.replaceable:
                return symbol
            if symbol not in made:
                values = lists.get(symbol.list.name, symbol.list)
                made[symbol] = replace(symbol, list=values)
            return made[symbol]

        arcs = [[(new(symbol), target, cost) for symbol, target, cost in row] for row in self.arcs]
        network = Network.restored(arcs, self.finals)
        network.known, network.owners = self.known, self.owners
        return network

    @cached_property
    def places(self) -> dict[str, ListSymbol]:
        """The replaceable lists, by what stands for them in G."""
        symbols = dict.fromkeys(symbol for row in self.arcs for symbol, _, _ in row)
        return {symbol.place: symbol for symbol in symbols
                if isinstance(symbol, ListSymbol) and symbol.list.replaceable}

    @cached_property
    def trie(self) -> dict:
        """All values of all lists: word -> node; None -> [(list key, value index)]."""
        root: dict = {}
        for (values, prefix, suffix), key in self.list_keys.items():
            for index, value in enumerate(values.values):
                for form in value.forms:
                    node = root
                    for word in joined(form, prefix, suffix):
                        node = node.setdefault(word, {})
                    node.setdefault(None, []).append((key, index))
        return root

    def expand(self, state: DfaState) -> DfaState:
        """Fill in the arcs that leave ``state``; two threads may do so at the same time."""
        targets: dict[Symbol, list[int]] = {}
        for member in state.members:
            for symbol, target, _ in self.arcs[member]:
                targets.setdefault(symbol, []).append(target)
        words: dict[str, DfaState] = {}
        lists, wildcards, marks = [], [], []
        for symbol, members in targets.items():
            if isinstance(symbol, str):
                words[symbol] = self._state(members)
            elif isinstance(symbol, Mark):
                marks.append((symbol, self._state(members)))
            elif isinstance(symbol, ListSymbol) and symbol.list.wildcard:
                wildcards.append((symbol, self._state(members)))
            elif isinstance(symbol, ListSymbol):
                lists.append((symbol, self.list_keys[symbol.key], self._state(members)))
        state.words, state.lists, state.wildcards, state.marks = words, lists, wildcards, marks
        state.expanded = True
        return state

    def _state(self, members: list[int]) -> DfaState:
        """Return the state of a set of network states and all that epsilon arcs reach from them."""
        reached = set(members)
        waiting = list(reached)
        while waiting:
            for symbol, target, _ in self.arcs[waiting.pop()]:
                if symbol is None and target not in reached:
                    reached.add(target)
                    waiting.append(target)
        key = frozenset(reached)
        if key not in self._states:
            ends = sorted(self.finals[m] for m in key if m in self.finals)
            self._states.setdefault(key, DfaState(key, tuple(ends)))
        return self._states[key]


class _Compiler:
    """Lays the arcs of one template."""

    def __init__(self, network: Network, template: Template):
        self.network, self.template = network, template

    def lay(self, cost: float) -> int:
        """Lay all arcs, ``cost`` on the first; return the template's own end state."""
        return self.hub(self.add(self.template.expression, {(0, ""): cost}))

    def new_state(self) -> int:
        self.network.arcs.append([])
        return len(self.network.arcs) - 1

    def arc(self, source: int, symbol: Symbol, target: int, cost: float = 0.0) -> None:
        self.network.arcs[source].append((symbol, target, cost))

    def add(self, expression: tree.Expression, ends: _Ends) -> _Ends:
        """Lay an expression after these ends; return the new ends."""
        match expression:
            case tree.Text(text):
                return self.add_text(text, ends)
            case tree.Sequence(items):
                for item in items:
                    ends = self.add(item, ends)
                return ends
            case tree.Alternative(items, weights):
                parts = [
                    self.add(item, {end: old + cost for end, old in ends.items()})
                    for item, cost in zip(items, costs_of(weights, len(items)), strict=True)
                    if cost < math.inf
                ]
                return self.join(parts)
            case tree.Permutation(items):
                return self.add_permutation(items, ends)
            case tree.Repeat(item):
                before = self.hub(ends)
                after = self.hub(self.add(item, {(before, ""): 0.0}))
                self.arc(after, None, before)
                return {(after, ""): 0.0}
            case tree.Tagged(item, slot, value):
                return self.add_tagged(item, slot, value, ends)
            case tree.ListReference():
                return self.add_list(expression, ends)
            case tree.RuleReference(name):
                return self.add(self.template.scope.rules[name].expression, ends)

    def add_text(self, text: str, ends: _Ends) -> _Ends:
        for i, piece in enumerate(text.split(" ")):
            if i:
                ends = self.close(ends)
            if piece:
                if len(ends) > MAX_JOINED:
                    raise self.template.error(f"text is joined in more than {MAX_JOINED} ways")
                ends = {(state, _glue(word, piece)): cost for (state, word), cost in ends.items()}
        return ends

    def add_permutation(self, items: tuple[tree.Expression, ...], ends: _Ends) -> _Ends:
        """Lay the items by the subset already laid: 2^n nodes instead of n! orders."""
        reached: dict[int, list[_Ends]] = {0: [self.close(ends)]}
        for subset in range(2 ** len(items) - 1):
            here = self.join(reached.pop(subset))
            for i, item in enumerate(items):
                if not subset >> i & 1:
                    after = self.close(self.add(item, here))
                    reached.setdefault(subset | 1 << i, []).append(after)
        return self.join(reached[2 ** len(items) - 1])

    def add_tagged(self, item: tree.Expression, slot: str, value: str | None, ends: _Ends) -> _Ends:
        before, inside = self.hub(ends), self.new_state()
        self.arc(before, Mark(slot, value, begins=True), inside)
        end, after = self.hub(self.add(item, {(inside, ""): 0.0})), self.new_state()
        self.arc(end, Mark(slot, value, begins=False), after)
        return {(after, ""): 0.0}

    def add_list(self, reference: tree.ListReference, ends: _Ends) -> _Ends:
        """Open a word with a list in it; a word holds at most one list."""
        full = {end: cost for end, cost in ends.items() if not isinstance(end[1], str)}
        free = {end: cost for end, cost in ends.items() if isinstance(end[1], str)}
        if full:
            free = self.join([free, self.close(full)])
        return {(state, (str(word), reference, "")): cost for (state, word), cost in free.items()}

    def hub(self, ends: _Ends) -> int:
        """Bring all ends together in one new state, their words closed."""
        state = self.new_state()
        for (source, _), cost in self.close(ends).items():
            self.arc(source, None, state, cost)
        return state

    def join(self, parts: list[_Ends]) -> _Ends:
        """Return the ends of all parts; those between words meet in one state."""
        merged: _Ends = {}
        for end, cost in (item for part in parts for item in part.items()):
            merged[end] = min(cost, merged.get(end, math.inf))
        between = [end for end in merged if end[1] == ""]
        if len(between) > 1:
            state = self.new_state()
            for end in between:
                self.arc(end[0], None, state, merged.pop(end))
            merged[state, ""] = 0.0
        return merged

    def close(self, ends: _Ends) -> _Ends:
        """End the open words: what follows begins a new word, in one state."""
        between = {end: cost for end, cost in ends.items() if end[1] == ""}
        if len(between) == len(ends):
            return self.join([between])
        target = self.new_state()
        opened = [(end, cost) for end, cost in ends.items() if end[1] != ""]
        laid = [self.close_word(end, cost, target) for end, cost in opened]
        return self.join([between, {(target, ""): 0.0}] if any(laid) else [between])

    def close_word(self, end: tuple[int, _Open], cost: float, target: int) -> bool:
        """Lay the arcs of one open word up to ``target``; return False if no value is allowed."""
        state, word = end
        symbols: list[Symbol]
        if isinstance(word, str):
            symbols = [*self.words(word)]
        else:
            before, reference, after = word
            values = self.template.scope.lists[reference.name]
            joins = not values.is_range  # "2700k": two words
            prefix = "".join(_WORD_END.findall(before)[:1]) if joins else ""
            suffix = "".join(_WORD_START.findall(after)[:1]) if joins else ""
            symbol = self.list_symbol(values, reference.slot, prefix, suffix)
            if symbol is None:
                return False
            left, right = before[: len(before) - len(prefix)], after[len(suffix) :]
            symbols = [*self.words(left), symbol, *self.words(right)]
        for inside in symbols[:-1]:
            inner = self.new_state()
            self.arc(state, inside, inner, cost)
            state, cost = inner, 0.0
        self.arc(state, symbols[-1] if symbols else None, target, cost)
        return True

    def words(self, text: str) -> tuple[str, ...]:
        return normalise_text(text, self.network.known)

    def list_symbol(
        self, values: ValueList, slot: str, prefix: str, suffix: str
    ) -> ListSymbol | None:
        """Return the symbol of a list; None if the template's context allows none of its values."""
        if values.wildcard:
            if prefix or suffix:
                raise self.template.error(f"text is joined to the wildcard {{{values.name}}}")
            return ListSymbol(values, slot)
        pair, known = (self.template.block, values), self.network.allowed
        if pair not in known:
            known[pair] = self.template.block.allowed(values)
        if known[pair] == frozenset():
            return None
        symbol = ListSymbol(values, slot, prefix, suffix, known[pair])
        self.network.list_keys.setdefault(symbol.key, len(self.network.list_keys))
        return symbol


def _glue(word: _Open, piece: str) -> _Open:
    if isinstance(word, str):
        return word + piece
    return word[0], word[1], word[2] + piece


@lru_cache(maxsize=1024)
def costs_of(weights: tuple[float, ...] | None, n_items: int) -> list[float]:
    """Return costs -log(weight / sum of weights); 0 without weights."""
    if weights is None:
        return [0.0] * n_items
    total = math.fsum(weights)
    return [-math.log(weight / total) if weight / total else math.inf for weight in weights]


def counted_costs(counts: Iterable[float | None]) -> list[float]:
    """Return the costs of alternatives from their counts; a count of None is 1, all None: 0.

    >>> [round(cost, 2) for cost in counted_costs([3, None])], counted_costs([None, None])
    ([0.29, 1.39], [0.0, 0.0])
    """
    given = list(counts)
    weights = tuple(1.0 if count is None else count for count in given)
    return costs_of(None if given.count(None) == len(given) else weights, len(given))


def words_of(symbols: Iterable[Symbol], phrases: Iterable[tuple[str, ...]]) -> frozenset[str]:
    """Return all words of symbols, the forms of their lists, and phrases."""
    found = {word for phrase in phrases for word in phrase}
    for symbol in set(symbols):
        if isinstance(symbol, str):
            found.add(symbol)
        elif isinstance(symbol, ListSymbol):
            found.update(*symbol.word_forms())
    return frozenset(found)


def joined(form: tuple[str, ...], prefix: str, suffix: str) -> tuple[str, ...]:
    """Return the words of a list value with a prefix and a suffix joined to its ends.

    >>> joined(("living", "room"), "", "'s")
    ('living', "room's")
    """
    if not (prefix or suffix):
        return form
    words = list(form)
    words[0] = prefix + words[0]
    words[-1] += suffix
    changed = {0} if prefix else set()
    changed |= {len(words) - 1} if suffix else set()
    parts = (normalise_text(word) if i in changed else (word,) for i, word in enumerate(words))
    return tuple(word for part in parts for word in part)
