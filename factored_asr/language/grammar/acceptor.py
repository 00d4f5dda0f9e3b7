"""G by pynini: the word side of a grammar, determinised and minimised.

Templates are determinised with lists as symbols, every list by itself; then the lists replace their
symbols. The other order would determinise every list as often as a template names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from factored_asr.errors import OptionError
from factored_asr.language.grammar.network import ListSymbol, Network, Symbol

if TYPE_CHECKING:
    import pynini

MAX_SUBSETS = 20_000  # states beyond those laid, in grammars with repeats
SKIPPED_PHRASES = 2  # skip words allowed before and after a sentence, one after another
_Phrases: TypeAlias = Mapping[tuple[str, ...], float]
_Arc: TypeAlias = tuple[int, int, int, float]  # source, label, target, cost


def build_acceptor(
    arcs: Iterable[tuple[int, Symbol, int, float]], network: Network, ids: Mapping[str, int],
    wildcard_words: _Phrases, skip_words: Iterable[tuple[str, ...]],
    made: Mapping[str, pynini.Fst] | None = None,
) -> pynini.Fst:
    """Build G of the arcs (source, symbol, target, cost) of a network; see `Grammar.acceptor`.

    `made` are acceptors that stand for wildcards, by their names; they may be empty, and so may G
    then be. Otherwise raises OptionError if no sentence is accepted.
    """
    import pynini
    import pywrapfst

    lists: dict[object, tuple[ListSymbol, int]] = {}
    first_label = max(ids.values(), default=0) + 1  # labels of lists stand above those of words

    def labelled() -> Iterator[_Arc]:
        for source, symbol, target, cost in arcs:
            if isinstance(symbol, ListSymbol) and symbol.list.replaceable and symbol.place in ids:
                label = ids[symbol.place]
            elif isinstance(symbol, ListSymbol):
                entry = (symbol, first_label + len(lists))
                label = lists.setdefault((*symbol.key, symbol.allowed), entry)[1]
            else:
                label = ids[symbol] if isinstance(symbol, str) else 0
            yield source, label, target, cost

    root = _acceptor(len(network.arcs), labelled(), network.finals)
    if lists:
        parts = [(first_label + len(lists), root)]  # a label of the root, which nothing calls
        for symbol, label in lists.values():
            if made and symbol.list.name in made:
                parts.append((label, made[symbol.list.name]))
            elif symbol.list.wildcard:
                parts.append((label, _minimised(_phrases(wildcard_words, ids).closure(1))))
            else:
                parts.append((label, _phrases(symbol.word_forms(), ids)))
        root = pynini.Fst.from_pywrapfst(pywrapfst.replace(parts, "neither", "neither"))
        root = _minimised(root)
    root = _without_empty(root)
    if phrases := dict.fromkeys(skip_words, 0.0):
        skip = pynini.closure(_phrases(phrases, ids), 0, SKIPPED_PHRASES)
        root = _minimised(skip + root + skip)
    if root.num_states() == 0 and made is None:
        raise OptionError("the grammar accepts no sentence (are words for wildcards missing?)")
    return root


def relabelled(acceptors: Iterable[pynini.Fst], labels: Mapping[int, int]) -> pynini.Fst:
    """Return the union of acceptors with other first words, without sentences of other words."""
    import pynini

    changed = []
    for each in acceptors:
        fst = each.copy()
        first = [arc for arc in fst.arcs(fst.start()) if arc.ilabel in labels]
        start = fst.add_state()
        for arc in first:
            arc.ilabel = arc.olabel = labels[arc.ilabel]
            fst.add_arc(start, arc)
        changed.append(fst.set_start(start).connect())
    return _minimised(pynini.union(*changed))


def beginning_with(acceptor: pynini.Fst, labels: Collection[int]) -> pynini.Fst:
    """Return the sentences of an acceptor whose first word is one of some."""
    return relabelled([acceptor], {label: label for label in labels})


def united(acceptors: Iterable[pynini.Fst]) -> pynini.Fst:
    """Return the acceptor of the sentences of all acceptors."""
    import pynini

    return _minimised(pynini.union(*acceptors))


def _phrases(costs: _Phrases, ids: Mapping[str, int]) -> pynini.Fst:
    """Return a minimal acceptor of phrases, each at its cost."""
    arcs: list[_Arc] = []
    n_states = 2
    for phrase, cost in costs.items():
        state = 0
        for word in phrase[:-1]:
            arcs.append((state, ids[word], n_states, cost))
            state, cost, n_states = n_states, 0.0, n_states + 1
        arcs.append((state, ids[phrase[-1]], 1, cost))
    return _acceptor(n_states, arcs, [1])


def _acceptor(n_states: int, arcs: Iterable[_Arc], finals: Iterable[int]) -> pynini.Fst:
    """Return a minimal acceptor that starts in state 0."""
    import pynini
    import pywrapfst

    fst = pynini.Fst()
    fst.add_states(n_states)
    fst.set_start(0)
    for source, label, target, cost in arcs:
        fst.add_arc(source, pywrapfst.Arc(label, label, cost, target))
    for state in finals:
        fst.set_final(state)
    return _minimised(fst)


def _minimised(fst: pynini.Fst) -> pynini.Fst:
    """Return an equal acceptor without epsilons, deterministic and minimal."""
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
    """Raise OptionError for repeats whose deterministic form is exponentially large.

    ``(a|b)* a (a|b) (a|b) …`` doubles its states with every word.
    """
    following: list[dict[int, set[int]]] = []
    for state in fst.states():
        targets: dict[int, set[int]] = {}
        for arc in fst.arcs(state):
            targets.setdefault(arc.ilabel, set()).add(arc.nextstate)
        following.append(targets)
    start = frozenset([fst.start()] if following else [])
    found, waiting = {start}, [start]
    while waiting:
        subset = waiting.pop()
        for label in set().union(*(following[state] for state in subset)):
            after = frozenset().union(*(following[state].get(label, ()) for state in subset))
            if after not in found:
                found.add(after)
                waiting.append(after)
        if len(found) > MAX_SUBSETS + len(following):
            remedy = "repeat less, or phrases that begin with different words"
            law = f"the repeats of the grammar need more than {len(found):,} states"
            raise OptionError(f"{law}; {remedy}")


def _without_empty(fst: pynini.Fst) -> pynini.Fst:
    """Return the acceptor without the empty sentence: silence is no command."""
    import pywrapfst

    if fst.num_states() and fst.final(fst.start()) != pywrapfst.Weight.zero("tropical"):
        start = fst.add_state()
        for arc in list(fst.arcs(fst.start())):
            fst.add_arc(start, arc)
        fst.set_start(start)
        fst = _minimised(fst.connect())
    return fst
