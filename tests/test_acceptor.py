"""The algebra of acceptors: by brute force, by pynini and by our own code alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_acceptor import either, in_a_row, sentences
from naive_graph import costs_of
from support.topologies import RANDOM_KINDS, Model, random_topology

from factored_asr.dialogue.conversation import Conversation
from factored_asr.errors import OptionError
from factored_asr.graph import Graph, GraphOptions, build_graph
from factored_asr.graph.build import LISTS, compose_lexicon, lexicon_graph
from factored_asr.graph.convert import graph_of
from factored_asr.language import Grammar, with_pynini
from factored_asr.language.acceptor import (
    Acceptor,
    concatenated,
    determinised,
    minimal,
    optional,
    repeated,
    replaced,
    subtracted,
    united,
)
from factored_asr.lexicon import Lexicon, Pronunciation

LONGEST = 4
"""Words of the sentences that are compared."""
ROOT = Path(__file__).parent.parent
BACK_ENDS = ["own", pytest.param("pynini", marks=pytest.mark.skipif(
    not with_pynini.is_installed(), reason="pynini is not installed"))]


@contextmanager
def computed_by(name: str) -> Iterator[None]:
    """Compute with pynini, or with our own code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(with_pynini, "is_installed", lambda: name == "pynini")
        yield


@pytest.fixture(params=BACK_ENDS)
def back_end(request: pytest.FixtureRequest) -> Iterator[str]:
    with computed_by(request.param):
        yield request.param


COSTS = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.5])


@st.composite
def acceptors(draw: st.DrawFn, *, epsilons: bool = True, cycles: bool = True) -> Acceptor:
    """Acceptors with parallel arcs, dead ends, self-loops, costs; final states or none."""
    n = draw(st.integers(1, 5))
    state, cost = st.integers(0, n - 1), draw(st.sampled_from([COSTS, st.just(0.0)]))
    arc = st.tuples(state, st.integers(0 if epsilons else 1, 3), cost, state)
    rows = draw(st.lists(arc, max_size=10))
    if not cycles:
        rows = [row for row in rows if row[0] < row[3]]
    return Acceptor.from_rows(rows, draw(st.dictionaries(state, cost, max_size=3)), n)


def is_deterministic(acceptor: Acceptor) -> bool:
    pairs = np.column_stack([acceptor.sources, acceptor.arcs["label"]])
    return bool(np.all(acceptor.arcs["label"] > 0)) and len(np.unique(pairs, axis=0)) == len(pairs)


@settings(max_examples=150, deadline=None)
@given(acceptors(), st.sampled_from(["pynini", "own"]))
def test_a_minimal_acceptor_has_the_same_sentences(acceptor: Acceptor, name: str) -> None:
    if name == "pynini" and not with_pynini.is_installed():
        return
    expected = sentences(acceptor, LONGEST)
    with computed_by(name):
        made = minimal(acceptor)
    assert sentences(made, LONGEST) == expected
    assert sentences(determinised(acceptor), LONGEST) == expected
    assert np.all(made.arcs["label"] == made.arcs["word"]) and np.all(made.arcs["label"] > 0)
    if not made.arcs["cost"].any():
        assert is_deterministic(made)
    for labels, cost in expected.items():
        assert made.cost(labels) == cost


@settings(max_examples=150, deadline=None)
@given(acceptors(cycles=False))
def test_without_cycles_it_is_deterministic_and_as_small_as_can_be(acceptor: Acceptor) -> None:
    with computed_by("own"):
        made = minimal(acceptor)
    assert is_deterministic(made)
    said = sentences(made, LONGEST)
    assert said == sentences(acceptor, LONGEST)
    # As many states as there are different futures, costs aside that all of a future have.
    futures = set()
    for prefix in {labels[:n] for labels in said for n in range(len(labels) + 1)}:
        rest = {ls[len(prefix):]: cost for ls, cost in said.items() if ls[: len(prefix)] == prefix}
        least = 0.0 if prefix == () else min(rest.values())
        futures.add(frozenset((labels, cost - least) for labels, cost in rest.items()))
    assert made.n_states == max(1, len(futures))


@settings(max_examples=100, deadline=None)
@given(acceptors(epsilons=False), acceptors(epsilons=False), st.sampled_from(["pynini", "own"]))
def test_what_is_subtracted_is_gone(one: Acceptor, other: Acceptor, name: str) -> None:
    if name == "pynini" and not with_pynini.is_installed():
        return
    with computed_by(name):
        left = subtracted(one, other)
    gone = sentences(other, LONGEST)
    expected = {said: cost for said, cost in sentences(one, LONGEST).items() if said not in gone}
    assert sentences(left, LONGEST) == expected
    assert left.is_empty == (left.n_arcs == 0 and not np.any(left.final < np.inf))


@settings(max_examples=60, deadline=None)
@given(acceptors(), acceptors())
def test_acceptors_are_laid_side_by_side(one: Acceptor, other: Acceptor) -> None:
    first, second = sentences(one, LONGEST), sentences(other, LONGEST)

    def said(acceptor: Acceptor) -> dict:
        return sentences(acceptor, LONGEST)

    assert said(united([one, other])) == either(first, second)
    assert said(concatenated([one, other])) == in_a_row(first, second, LONGEST)
    assert said(optional(one)) == either(first, {(): 0.0})
    several = first
    for _ in range(LONGEST):
        several = either(several, in_a_row(several, first, LONGEST))
    assert said(repeated(one)) == several


@settings(max_examples=60, deadline=None)
@given(acceptors(), acceptors(), acceptors())
def test_labels_are_replaced(root: Acceptor, one: Acceptor, other: Acceptor) -> None:
    parts = {2: sentences(one, LONGEST), 3: sentences(other, LONGEST)}
    expected: dict = {}
    # As parts may be empty, a longer sentence of the root may become a short one.
    for labels, cost in sentences(root, LONGEST).items():
        said = {(): cost}
        for label in labels:
            said = in_a_row(said, parts.get(label, {(label,): 0.0}), LONGEST)
        expected = either(expected, said)
    found = sentences(replaced(root, {2: one, 3: other}), LONGEST)
    if not any(() in part for part in parts.values()):
        assert found == expected
    assert all(found[said] <= cost for said, cost in expected.items())


def test_repeats_that_grow_exponentially_are_refused(back_end: str) -> None:
    rows = [(0, 1, 0.0, 0), (0, 2, 0.0, 0), (0, 1, 0.0, 1)]
    rows += [(state, label, 0.0, state + 1) for state in range(1, 20) for label in (1, 2)]
    with pytest.raises(OptionError, match="repeats of the grammar need more than 20,021 states"):
        minimal(Acceptor.from_rows(rows, {20: 0.0}))


def test_no_sentence_is_one_dead_state(back_end: str) -> None:
    made = minimal(Acceptor.from_rows([(0, 1, 0.0, 1), (1, 0, 0.0, 0)], {}))
    assert (made.n_states, made.n_arcs, made.is_empty) == (1, 0, True)
    assert subtracted(made, made).is_empty


# Grammars.

FORMS = ["{one}", "{one}'s", "{two}", "[{two}] x", "(y|/3/ x)", "x", "[y]", "z", "(x;[y];z)"]
WAYS = {"x": ["A B", "A"], "y": ["B", "B A"], "z": ["A A", "B"], "not": ["B B"], "x's": ["A C"],
        "y's": ["C"], "z's": ["B C", "C"], "do": ["A"]}
LEXICON = Lexicon({
    word: tuple(Pronunciation(tuple(phones.split()), (k + 1) / 3)
                for k, phones in enumerate(ways)) for word, ways in WAYS.items()
})  # fmt: skip


def home_grammar(random: Random, replaceable: bool) -> Grammar:
    """Templates with weights, optional words, orders and two lists."""
    sentences = [" ".join(random.choices(FORMS, k=random.randint(1, 4))) + " z"
                 for _ in range(random.randint(1, 4))]
    values = "".join(f"{{in: {value}, count: {random.randint(1, 9)}}}, " for value in
                     random.sample(["x", "y", "z", "x z", "z x", "y y"], random.randint(1, 4)))
    return Grammar.from_text(f"""
        intents: {{Say: {{data: [{{sentences: {sentences}}}]}}}}
        lists:
          one: {{values: [{values}]}}
          two: {{replaceable: {str(replaceable).lower()}, values: [x, {{in: y, count: 4}}]}}
        {random.choice(["", "skip_words: [y, x y]"])}
    """)


def repeating_grammar(random: Random) -> Grammar:
    """JSGF with weights and repeats."""
    def some(depth: int) -> str:
        if not depth or random.random() < 0.3:
            return random.choice("xyz")
        kind = random.choice(["row", "or", "optional", "repeat"])
        if kind == "row":
            return f"{some(depth - 1)} {some(depth - 1)}"
        if kind == "or":
            return f"(/{random.randint(1, 4)}/ {some(depth - 1)} | /2/ {some(depth - 1)})"
        return f"[{some(depth - 1)}]" if kind == "optional" else f"(x {some(depth - 1)})+"

    return Grammar.from_text(f"#JSGF V1.0; grammar g; public <s> = {some(4)} | {some(3)};")


RANDOM_GRAMMARS: list[Callable[[int], Grammar]] = [
    lambda seed: home_grammar(Random(seed), False), lambda seed: home_grammar(Random(seed), True),
    lambda seed: repeating_grammar(Random(seed)),
]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", range(len(RANDOM_GRAMMARS)))
def test_grammars_are_the_same_by_both(kind: int, seed: int) -> None:
    pytest.importorskip("pynini")
    grammar = RANDOM_GRAMMARS[kind](seed)
    ids = {word: i for i, word in enumerate(sorted({*grammar.words, *grammar.places}), 1)}
    made = []
    for name in ("own", "pynini"):
        with computed_by(name):
            made.append(sentences(grammar.acceptor(ids), 5))
    assert made[0] and made[0].keys() == made[1].keys()
    for labels, cost in made[0].items():
        assert cost == pytest.approx(made[1][labels], abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", RANDOM_KINDS)
def test_graphs_are_the_same_by_both(kind: str, seed: int) -> None:
    """With denials, homophones, fillers, prefixes and lists that may be replaced."""
    pytest.importorskip("pynini")
    rng = np.random.default_rng(seed)
    model = Model(random_topology(rng, **RANDOM_KINDS[kind]))
    grammar = RANDOM_GRAMMARS[seed % 3](seed + 7)
    options = GraphOptions(silence_probability=0.25, filler_probability=0.125, word_penalty=0.5,
                           prefixes=("y",), prefix_cost=1.0, denials=seed != 1)
    made = []
    for name in ("own", "pynini"):
        with computed_by(name):
            made.append(build_graph(model, LEXICON, grammar, options))
    own, other = (costs_of(graph, 4) for graph in made)
    assert len(own) > 1 and own.keys() == other.keys()
    for key, cost in own.items():
        assert cost == pytest.approx(other[key], abs=2e-3), key
    one, two = ((sorted(zip(g.joints["name"], g.joints["left"], g.joints["pending"], strict=True)))
                for g in made)
    assert set(one) == set(two)


def agree(one: Acceptor, other: Acceptor) -> None:
    """Walk two deterministic acceptors word by word: the same words, the same costs."""
    paid = {(one.start, other.start): 0.0}
    waiting = list(paid)
    while waiting:
        pair = waiting.pop()
        here, there = one.leaving(pair[0]), other.leaving(pair[1])
        more = paid[pair]
        assert here["label"].tolist() == sorted(there["label"].tolist())
        there = there[np.argsort(there["label"])]
        ends = float(one.final[pair[0]]), float(other.final[pair[1]])
        assert ends[0] + more == pytest.approx(ends[1], abs=2e-3)
        for a, b in zip(here.tolist(), there.tolist(), strict=True):
            after, cost = (a[3], b[3]), more + a[2] - b[2]
            if after in paid:
                assert cost == pytest.approx(paid[after], abs=2e-3)
            else:
                paid[after] = cost
                waiting.append(after)


@pytest.mark.parametrize("name", ["smart_home", "house", "conversation"])
def test_real_grammars_are_the_same_by_both(name: str) -> None:
    pytest.importorskip("pynini")
    file = "house" if name == "conversation" else name
    grammar = Grammar.read(ROOT / "lm" / f"{file}.yaml")
    language = Conversation(grammar) if name == "conversation" else grammar
    ids = {word: i for i, word in enumerate(sorted(language.words), 1)}
    made = []
    for back in ("own", "pynini"):
        with computed_by(back), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.append(language.acceptor(ids))
    agree(*made)
    assert made[0].n_states <= made[1].n_states


def said_by(graph: Graph, longest: int) -> dict:
    """Least cost by labels and words of a transducer, up to a number of labels."""
    found: dict = {}
    level = {((), (), graph.start): 0.0}
    for _ in range(longest + 1):
        waiting = list(level)
        while waiting:  # what has no label
            labels, words, state = key = waiting.pop()
            for label, word, cost, target in graph.arcs[
                    slice(*graph.first_arc[state : state + 2])].tolist():
                after = labels, (*words, *[word] * (word > 0)), target
                if not label and len(words) < 4 and level[key] + cost < level.get(after, np.inf):
                    level[after] = level[key] + cost
                    waiting.append(after)
        ahead: dict = {}
        for (labels, words, state), cost in level.items():
            end = cost + float(graph.final[state])
            if end < found.get((labels, words), np.inf):
                found[labels, words] = end
            for label, word, more, target in graph.arcs[
                    slice(*graph.first_arc[state : state + 2])].tolist():
                after = (*labels, label), (*words, *[word] * (word > 0)), target
                if label:
                    ahead[after] = min(cost + more, ahead.get(after, np.inf))
        level = ahead
    return found


@settings(max_examples=40, deadline=None)
@given(acceptors(epsilons=False, cycles=False), st.integers(0, 3))
def test_lexicon_and_grammar_are_composed_alike_by_both(acceptor: Acceptor, seed: int) -> None:
    """Homophones, several pronunciations, an arc for a list, a filler; G is not deterministic."""
    if not with_pynini.is_installed() or minimal(acceptor).n_arcs == 0:
        return
    random = Random(seed)
    spoken = Lexicon({
        word: tuple(Pronunciation(tuple(random.choices("AB", k=random.randint(1, 3))), 0.5)
                    for _ in range(random.randint(1, 3))) for word in "xy"
    })
    model = Model(random_topology(np.random.default_rng(0)))
    options = GraphOptions(silence_probability=0.5, filler_probability=0.25)
    lexicon, back_off = lexicon_graph(spoken, {"x": 1, "y": 2}, model, options, n_lists=1)
    arcs = acceptor.arcs.copy()
    arcs["label"][arcs["label"] == 3] = LISTS
    arcs["word"] = arcs["label"]
    grammar = graph_of(replace(acceptor, arcs=arcs))
    made = []
    for name in ("own", "pynini"):
        with computed_by(name):
            made.append(compose_lexicon(lexicon, grammar, back_off, 12, [4]))
    own, other = (said_by(graph, 4) for graph in made)
    assert own.keys() == other.keys()
    for key, cost in own.items():
        assert cost == pytest.approx(other[key], abs=2e-3), key
