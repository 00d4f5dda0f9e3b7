"""G by pynini: the word side of a grammar, determinised and minimised.

A list stays one arc as long as it can: templates are determinised with lists as symbols, every
list by itself, and only then are the lists put in their places and the whole made deterministic
again. The other order would determinise every list as often as a template names it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from factored_asr.errors import MissingError, OptionError
from factored_asr.language.grammar.network import ListSymbol

if TYPE_CHECKING:
    import pynini

    from factored_asr.language.grammar.grammar import Grammar

MAX_SUBSETS = 20_000  # states beyond those laid, in grammars with repeats
SKIPPED_PHRASES = 2  # skip words allowed before and after a sentence, one after another
_Key = tuple[object, ...]  # what decides the words of a list arc; its slot does not


def build_acceptor(grammar: Grammar, word_ids: Mapping[str, int]) -> pynini.Fst:
    """Build G; see :meth:`Grammar.acceptor`."""
    import pynini
    import pywrapfst

    _warn_left_out(grammar)
    ids = _checked_ids(grammar.words, word_ids)
    root, lists = _templates(grammar, ids)
    if lists:
        label = max(ids.values()) + len(lists) + 1  # stands for the root, which nothing calls
        parts = [(label, root)]
        parts += [(label, _list(symbol, grammar, ids)) for symbol, label in lists.values()]
        root = pynini.Fst.from_pywrapfst(pywrapfst.replace(parts, "neither", "neither"))
        root = _minimised(root)
    root = _without_empty(root)
    if grammar.skip_words:
        skip = _phrases(dict.fromkeys(grammar.skip_words, 0.0), ids)
        skip = pynini.closure(skip, 0, SKIPPED_PHRASES)
        root = _minimised(skip + root + skip)
    if root.num_states() == 0:
        raise OptionError("nothing of the grammar can be said (are words for wildcards missing?)")
    return root


def _warn_left_out(grammar: Grammar) -> None:
    from factored_asr.language.grammar.grammar import GrammarWarning

    if not grammar.left_out:
        return
    first, more = grammar.left_out[0], len(grammar.left_out) - 1
    warnings.warn(
        f"{first.path}:{first.line}: template {first.text!r}"
        + (f" and {more} more are" if more else " is")
        + " left out of what can be heard: no words are given for a wildcard",
        GrammarWarning,
        stacklevel=4,
    )


def _checked_ids(words: Iterable[str], word_ids: Mapping[str, int]) -> dict[str, int]:
    words = sorted(words)
    if missing := [word for word in words if word not in word_ids]:
        shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        raise MissingError(f"{len(missing)} words of the grammar have no id: {shown}")
    ids = {word: int(word_ids[word]) for word in words}
    if wrong := [word for word, i in ids.items() if i <= 0]:
        raise OptionError(f"word ids start at 1 (0 is epsilon), {wrong[0]!r} has {ids[wrong[0]]}")
    return ids


def _templates(
    grammar: Grammar, ids: Mapping[str, int]
) -> tuple[pynini.Fst, dict[_Key, tuple[ListSymbol, int]]]:
    """The templates as an acceptor, lists as labels above the words'; and the lists by key."""
    fst = _Builder(len(grammar.network.arcs))
    lists: dict[_Key, tuple[ListSymbol, int]] = {}
    first_label = max(ids.values(), default=0) + 1
    for source, symbol, target, cost in grammar.spoken_arcs():
        if isinstance(symbol, ListSymbol):
            entry = (symbol, first_label + len(lists))
            label = lists.setdefault((*symbol.key, symbol.allowed), entry)[1]
        else:
            label = ids[symbol] if isinstance(symbol, str) else 0
        fst.arc(source, label, target, cost)
    for state in grammar.network.finals:
        fst.final(state)
    return _minimised(fst.fst), lists


def _list(symbol: ListSymbol, grammar: Grammar, ids: Mapping[str, int]) -> pynini.Fst:
    if symbol.list.wildcard:
        return _minimised(_phrases(grammar.wildcard_words, ids).closure(1))
    return _phrases(symbol.word_forms(), ids)


def _phrases(costs: Mapping[tuple[str, ...], float], ids: Mapping[str, int]) -> pynini.Fst:
    """An acceptor of phrases, each at its cost, minimal."""
    fst = _Builder(2)
    fst.final(1)
    for phrase, cost in costs.items():
        state = 0
        for word in phrase[:-1]:
            state = fst.arc(state, ids[word], fst.state(), cost)
            cost = 0.0
        fst.arc(state, ids[phrase[-1]], 1, cost)
    return _minimised(fst.fst)


class _Builder:
    """Lays the arcs of an acceptor that starts at state 0."""

    def __init__(self, n_states: int):
        import pynini
        import pywrapfst

        self.fst = pynini.Fst()
        self.fst.add_states(n_states)
        self.fst.set_start(0)
        self._arc, self._weight = pywrapfst.Arc, pywrapfst.Weight
        self._one = pywrapfst.Weight.one("tropical")

    def state(self) -> int:
        return self.fst.add_state()

    def arc(self, source: int, label: int, target: int, cost: float) -> int:
        """Add an arc; returns its target."""
        weight = self._weight("tropical", cost) if cost else self._one
        self.fst.add_arc(source, self._arc(label, label, weight, target))
        return target

    def final(self, state: int) -> None:
        self.fst.set_final(state, self._one)


def _minimised(fst: pynini.Fst) -> pynini.Fst:
    """Without epsilons, deterministic and minimal."""
    import pynini
    import pywrapfst

    fst = pynini.rmepsilon(fst)
    cyclic = fst.properties(pywrapfst.ACYCLIC, True) != pywrapfst.ACYCLIC
    if cyclic:
        _check_subsets(fst)
    if cyclic and fst.properties(pywrapfst.UNWEIGHTED, True) != pywrapfst.UNWEIGHTED:
        # Loops of different cost over the same words cannot be determinised: keep each
        # (word, cost) pair a symbol of its own.
        mapper = pywrapfst.EncodeMapper("standard", encode_labels=False, encode_weights=True)
        fst = pynini.determinize(fst.encode(mapper))
        return fst.minimize().decode(mapper)
    return pynini.determinize(fst).minimize()


def _check_subsets(fst: pynini.Fst) -> None:
    """Refuse repeats whose deterministic form is exponentially large, before it is made.

    ``(a|b)* a (a|b) (a|b) …`` doubles its states with every word.
    """
    following: list[dict[int, set[int]]] = []
    for state in fst.states():
        targets: dict[int, set[int]] = {}
        for arc in fst.arcs(state):
            targets.setdefault(arc.ilabel, set()).add(arc.nextstate)
        following.append(targets)
    start = frozenset([fst.start()]) if following else frozenset()
    found, waiting = {start}, [start]
    while waiting:
        subset = waiting.pop()
        for label in set().union(*(following[state] for state in subset)):
            parts = (following[state].get(label, ()) for state in subset)
            after = frozenset(set().union(*parts))
            if after not in found:
                found.add(after)
                waiting.append(after)
        if len(found) > MAX_SUBSETS + len(following):
            raise OptionError(
                f"the repeats of the grammar need more than {len(found):,} states; repeat less, "
                "or phrases that begin with different words"
            )


def _without_empty(fst: pynini.Fst) -> pynini.Fst:
    """Refuse the empty sentence: silence is no command."""
    import pywrapfst

    if fst.num_states() and fst.final(fst.start()) != pywrapfst.Weight.zero("tropical"):
        start = fst.add_state()
        for arc in list(fst.arcs(fst.start())):
            fst.add_arc(start, arc)
        fst.set_start(start)
        fst = _minimised(fst.connect())
    return fst
