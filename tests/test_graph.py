"""Graph files, and the graph builder against enumeration of what each stage accepts."""

from __future__ import annotations

import pickle
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_graph import grouped, language, spoken
from support.topologies import N_PHONES, Model, random_topology

from factored_asr.errors import FormatError, OptionError
from factored_asr.graph import ARC, Graph, make_units
from factored_asr.graph._kernels import WIDE, shift_costs
from factored_asr.graph.build import expand_graph
from factored_asr.graph.expand import add_self_loops, expand_context, expand_hmms, minimise
from factored_asr.graph.graph import arcs_of


def random_graph(rng: np.random.Generator, n_states: int, n_arcs: int, n_labels: int) -> Graph:
    """A random graph, with epsilons, whose last state is final."""
    arcs = np.zeros(n_arcs, ARC)
    arcs["label"] = rng.integers(0, n_labels + 1, n_arcs)
    arcs["word"] = rng.integers(0, 3, n_arcs) * (rng.random(n_arcs) < 0.3)
    arcs["cost"] = rng.integers(0, 8, n_arcs) / 4
    source = rng.integers(0, n_states, n_arcs).astype(np.int32)
    arcs["target"] = rng.integers(0, n_states, n_arcs)
    # Epsilon arcs lead upwards only, so that enumeration ends.
    up = (arcs["label"] > 0) | (arcs["target"] > source)
    final = np.full(n_states, np.inf, np.float32)
    final[-1] = 0.25
    return Graph.from_arcs(source[up], arcs[up], final)


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_arcs_are_sorted_by_state_and_kind_and_else_stay_in_order(seed):
    rng = np.random.default_rng(seed)
    source, n_states = rng.integers(0, 5, 30), int(rng.integers(5, 8))
    arcs = np.zeros(30, ARC)
    arcs["label"], arcs["target"] = rng.integers(0, 3, (2, 30))
    arcs["cost"] = np.arange(30)
    expected = grouped(source, arcs, n_states)
    for _ in range(2):  # the second time they are in order
        graph = Graph.from_arcs(source, arcs, np.zeros(n_states, np.float32))
        found = [graph.arcs[a:b].tolist() for a, b in pairwise(graph.first_arc.tolist())]
        assert found == expected
        source, arcs = graph.sources, graph.arcs


@pytest.mark.parametrize(
    "kind",
    [{}, {"right": False}, {"pdfs": 2}, {"skips": True}, {"blank": True, "right": False},
     {"blank": True, "skips": True, "pdfs": 2}],
    ids=["triphones", "left", "two pdfs", "skips", "blank", "all"],
)  # fmt: skip
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_graphs_keep_every_way_of_saying_a_phone_sequence_and_its_cost(kind, seed):
    rng = np.random.default_rng(seed)
    model = Model(random_topology(rng, **kind))
    lg, n_frames = random_graph(rng, 4, 7, 4 * N_PHONES), 4
    expected: dict = {}
    for (symbols, words), cost in language(lg, n_frames).items():
        for pdfs, acoustic in spoken(symbols, model.topology, n_frames).items():
            key = pdfs, words
            expected[key] = min(expected.get(key, np.inf), cost + acoustic)
    graph = expand_graph(lg, model, make_units(model), ("<eps>", "a", "b"))
    found: dict = {}
    for (labels, words), cost in language(graph, n_frames).items():
        key = tuple(graph.label_pdf[list(labels)].tolist()), words
        found[key] = min(found.get(key, np.inf), cost)
    assert set(found) == set(expected)
    for key, cost in found.items():
        assert cost == pytest.approx(expected[key], abs=1e-3)


def test_ways_that_skip_cost_what_the_topology_says():
    topology = random_topology(np.random.default_rng(4), skips=True)
    units = make_units(Model(topology), transition_scale=0.5)
    n_ways = np.diff(units.first_sequence)
    assert n_ways.max() > 1 and len(units.sequences) == n_ways.sum()
    assert not units.skip_cost[units.first_sequence[:-1][n_ways == 1]].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_minimisation_keeps_the_language_and_never_grows(seed):
    graph = random_graph(np.random.default_rng(seed), 6, 12, 3)
    small, kept = minimise(graph)
    assert small.n_states <= graph.n_states and len(kept) == small.n_states
    assert language(small, 5) == pytest.approx(language(graph, 5))


def test_minimisation_merges_equal_suffixes():
    # Two branches a-c and b-c: the states before c have one future.
    arcs = np.array([(1, 0, 0, 1), (2, 0, 0, 2), (3, 0, 0, 3), (3, 0, 0, 3)], ARC)
    final = np.array([np.inf, np.inf, np.inf, 0], np.float32)
    small, _ = minimise(Graph.from_arcs(np.array([0, 0, 1, 2]), arcs, final))
    assert small.n_states == 3 and small.n_arcs == 3


def test_self_loops_repeat_the_entering_label():
    rng = np.random.default_rng(1)
    units = make_units(Model(random_topology(rng)))
    clg, _ = expand_context(random_graph(rng, 5, 12, 4 * N_PHONES), units)
    graph, loop_label, _ = expand_hmms(clg, units)
    looped = add_self_loops(graph, loop_label, units)
    emitting = looped.arcs["label"] > 0
    into = looped.arcs["target"][emitting]
    assert np.array_equal(loop_label[into], looped.arcs["label"][emitting])
    loops = looped.sources[emitting] == into
    assert np.count_nonzero(loops) >= np.count_nonzero(loop_label)


@pytest.fixture
def graph() -> Graph:
    return random_graph(np.random.default_rng(3), 20, 60, 7)


def same_arcs(one: Graph, two: Graph) -> bool:
    return (
        one.start == two.start
        and np.array_equal(one.first_arc, two.first_arc)
        and np.array_equal(one.arcs, two.arcs)
        and np.array_equal(one.final, two.final)
    )


def test_own_format_is_memory_mapped_and_round_trips(graph, tmp_path):
    graph = graph.with_words(["<eps>", "no", "yes"])
    graph.write(tmp_path / "g")
    again = Graph.read(tmp_path / "g")
    assert same_arcs(graph, again) and again.words == graph.words
    assert np.array_equal(again.first_emitting, graph.first_emitting)
    assert np.array_equal(again.states, graph.states)
    assert not again.arcs.flags.writeable and not again.states.flags.writeable


def test_offsets_of_arcs_are_made_of_the_records_when_they_are_asked_for(graph, tmp_path):
    graph.write(tmp_path / "g")
    again = Graph.read(tmp_path / "g")
    assert not (tmp_path / "g" / "first_arc.npy").exists()
    assert "first_arc" not in vars(again) and np.array_equal(again.first_arc, graph.first_arc)
    assert pickle.loads(pickle.dumps(Graph.read(tmp_path / "g"))).first_arc.tolist() == (
        graph.first_arc.tolist())
    with pytest.raises(AttributeError, match="no_such"):
        _ = again.no_such
    manifest = tmp_path / "g" / "manifest.json"  # of version 2, which had them as a file
    manifest.write_text(manifest.read_text().replace('"version": 3', '"version": 2'))
    np.save(tmp_path / "g" / "first_arc.npy", graph.first_arc)
    assert same_arcs(graph, Graph.read(tmp_path / "g"))


def test_openfst_reads_what_we_write(graph, tmp_path):
    pynini = pytest.importorskip("pynini")
    graph.write_openfst(tmp_path / "g.fst")
    fst = pynini.Fst.read(str(tmp_path / "g.fst"))
    assert fst.num_states() == graph.n_states and fst.verify()
    assert fst.num_input_epsilons(3) == graph.first_emitting[3] - graph.first_arc[3]


@pytest.mark.parametrize("kind", ["vector", "const"])
def test_we_read_what_openfst_writes(graph, tmp_path, kind):
    pynini, pywrapfst = pytest.importorskip("pynini"), pytest.importorskip("pywrapfst")
    graph.write_openfst(tmp_path / "g.fst")
    fst = pywrapfst.Fst.read(str(tmp_path / "g.fst"))
    symbols = pynini.SymbolTable("letters")
    for i in range(9):
        symbols.add_symbol(f"s{i}", i)
    mutable = pywrapfst.convert(fst, "vector")
    mutable.set_input_symbols(symbols)
    pywrapfst.convert(mutable, kind).write(str(tmp_path / "h.fst"))
    assert same_arcs(Graph.read(tmp_path / "h.fst"), graph)


def naive_states(graph: Graph) -> list[tuple]:
    """The records of states, read arc by arc."""
    rows: list[tuple] = []
    for state, (first, after) in enumerate(pairwise(graph.first_arc.tolist())):
        arcs = graph.arcs[first:after].tolist()
        spoken = [arc for arc in arcs if arc[0]]
        loop = bool(spoken) and spoken[0][3] == state
        counts = [len(arcs) - len(spoken), len(spoken) - loop]
        if max(counts) >= WIDE:
            counts = [WIDE, WIDE]
        rows.append((first, *((spoken[0][0], spoken[0][2]) if loop else (0, 0.0)), *counts))
    return [*rows, (graph.n_arcs, 0, 0.0, 0, 0)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31))
def test_records_of_states_say_what_their_arcs_say(seed):
    """Of arcs sorted by `from_arcs`, and of others, whose loops stand anywhere."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, int(rng.integers(1, 6)), int(rng.integers(0, 30)), 3)
    assert graph.states.tolist() == naive_states(graph)
    source, arcs = graph.sources, graph.arcs
    for state in range(graph.n_states):
        labels, targets = arcs["label"][source == state], arcs["target"][source == state]
        loops = np.flatnonzero((labels > 0) & (targets == state))
        assert loops.tolist() == list(range(np.sum(labels == 0), np.sum(labels == 0) + len(loops)))
    shuffled = rng.permutation(len(arcs))
    shuffled = shuffled[np.lexsort((arcs["label"][shuffled] > 0, source[shuffled]))]
    loose = Graph(0, graph.first_arc, arcs[shuffled], graph.final)
    assert loose.states.tolist() == naive_states(loose)


@pytest.mark.parametrize("label", [0, 1])
def test_records_of_states_with_more_arcs_than_they_can_count(label, tmp_path):
    arcs = np.zeros(WIDE + 3, ARC)
    arcs["label"][:WIDE], arcs["target"][:WIDE], arcs["label"][WIDE:] = label, 1, 1
    graph = Graph.from_arcs(np.repeat([0, 1], [WIDE + 2, 1]), arcs, np.zeros(2, np.float32))
    assert graph.states["n_leaving"].tolist() == [WIDE, 1, 0]
    assert graph.states.tolist() == naive_states(graph)
    graph.write(tmp_path)
    (tmp_path / "words.txt").touch()  # so its arcs are checked
    assert np.array_equal(Graph.read(tmp_path).states, graph.states)


def test_costs_of_loops_change_with_those_of_their_words():
    rows = [(0, 1, 1, 0.5, 0), (0, 1, 1, 0.25, 1), (1, 2, 2, 1.0, 1), (1, 0, 1, 0.0, 0)]
    graph = Graph.from_arcs(*arcs_of(rows), np.zeros(2, np.float32))
    arcs, states = graph.arcs.copy(), graph.states.copy()
    shift_costs(arcs, states, np.array([0.0, 2.0, 0.0], np.float32))
    assert arcs["cost"].tolist() == [2.5, 2.25, 2.0, 1.0]
    changed = Graph(0, graph.first_arc, arcs, graph.final)
    assert states.tolist() == naive_states(changed)


def test_a_cut_or_foreign_file_is_refused(graph, tmp_path):
    graph.write_openfst(tmp_path / "g.fst")
    data = (tmp_path / "g.fst").read_bytes()
    bad = tmp_path / "bad.fst"
    for cut in (3, 10, 40, 100, len(data) - 1):
        bad.write_bytes(data[:cut])
        with pytest.raises(FormatError, match="bad.fst"):
            Graph.read(bad)
    bad.write_bytes(struct.pack("<i", 7) + data[4:])
    with pytest.raises(FormatError, match="magic"):
        Graph.read(bad)
    with pytest.raises(FormatError, match=r"missing\.fst"):
        Graph.read(tmp_path / "missing.fst")
    with pytest.raises(FormatError, match=r"manifest\.json"):
        Graph.read(tmp_path)


def test_an_arc_that_leads_nowhere_is_refused(tmp_path):
    arcs = np.array([(1, 1, 0.0, 9)], ARC)
    Graph(0, np.array([0, 1]), arcs, np.zeros(1)).write_openfst(tmp_path / "g.fst")
    with pytest.raises(FormatError, match="target lies outside"):
        Graph.read(tmp_path / "g.fst")


def test_offsets_must_fit():
    with pytest.raises(OptionError, match="2 arc offsets"):
        Graph(0, np.array([0, 1, 1]), np.zeros(1, ARC), np.zeros(1))


@pytest.mark.parametrize(
    ("arc", "complaint"),
    [((1 << 30, 1, 0.0, 0), "label lies outside"), ((1, 1, -np.inf, 0), "-inf")],
)
def test_a_label_or_cost_beyond_reason_is_refused(tmp_path, arc, complaint):
    graph = Graph(0, np.array([0, 1]), np.array([(1, 1, 0.0, 0)], ARC), np.zeros(1))
    graph.write_openfst(tmp_path / "g.fst")
    data = (tmp_path / "g.fst").read_bytes()
    (tmp_path / "g.fst").write_bytes(data[: -ARC.itemsize] + np.array([arc], ARC).tobytes())
    with pytest.raises(FormatError, match=complaint):
        Graph.read(tmp_path / "g.fst")


def test_arcs_are_checked_again_once_a_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    monkeypatch.setattr(
        "factored_asr.graph.graph.first_broken_state", lambda *args: looked.append(1) or -1
    )
    arcs = np.array([(1, 1, 0.5, 1)], ARC)
    graph = Graph.from_arcs(np.zeros(1, int), arcs, np.array([np.inf, 0], np.float32))
    graph.with_words(["<eps>", "yes"]).write(tmp_path)
    Graph.read(tmp_path)
    assert not looked  # as it was written
    (tmp_path / "words.txt").write_text("<eps>\nno\n", encoding="utf-8")
    assert Graph.read(tmp_path).words == ("<eps>", "no")
    assert looked
