"""Lattices: all that lies within the beam and nothing else, whatever the interval of pruning."""

from __future__ import annotations

from dataclasses import fields, replace

import naive_lattice as naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.graphs import graph_of, random_graph, random_scores, small_tasks, spoken, word_graph

from factored_asr.decoder import BeamOptions, Search, decode
from factored_asr.decoder.links import FIRST_LINKS, raw_lattice

INF = float("inf")
EVERYTHING = BeamOptions(beam=INF, max_active=0, min_active=0, lattice_beam=INF)
SOME = BeamOptions(beam=12.0, max_active=0, min_active=0, lattice_beam=4.0)


def assert_strings(found, expected):
    assert sorted(found) == sorted(expected)
    for words, cost in found.items():
        assert cost == pytest.approx(expected[words], abs=1e-3), words


def assert_same(one, other):
    for field in fields(one):
        if field.name not in ("path", "words"):
            np.testing.assert_equal(getattr(one, field.name), getattr(other, field.name))


def assert_well_formed(lattice):
    assert (lattice.arc_source < lattice.arc_target).all()
    assert (np.diff(lattice.arc_source) >= 0).all()
    assert (np.diff(lattice.node_frame) >= 0).all()
    assert set(lattice.arc_target.tolist()) == set(range(1, lattice.n_nodes))
    leads_on = np.isfinite(lattice.final)
    leads_on[lattice.arc_source] = True
    assert leads_on.all()


@settings(max_examples=400, deadline=None)
@given(small_tasks())
def test_with_no_beam_a_lattice_holds_every_word_string(task):
    graph, scores = task
    arcs = graph.arcs
    silent = arcs["label"] == 0
    assume((arcs["target"][silent] > graph.sources[silent]).all())  # no epsilon cycles
    lattice = decode(graph, scores, EVERYTHING)
    assert_strings(naive.strings(lattice), naive.graph_strings(graph, scores))


@pytest.mark.parametrize("seed", range(20))
def test_best_of_the_lattice_is_the_viterbi_path(seed):
    graph, scores = random_graph(60, 200, 10, seed), random_scores(30, 10, seed)
    lattice = decode(graph, scores, SOME)
    assert_well_formed(lattice)
    assert naive.best_cost(lattice) == pytest.approx(lattice.best().cost, abs=1e-3)
    plain = decode(graph, scores, replace(SOME, lattice_beam=0.0))
    assert plain.n_arcs == plain.n_nodes == 0
    assert plain.best().arcs.tolist() == lattice.best().arcs.tolist()
    assert plain.best().cost == lattice.best().cost


def acyclic(n_states, n_arcs, n_labels, seed):
    """A random graph without cycles of epsilon arcs."""
    graph = random_graph(n_states, n_arcs, n_labels, seed)
    arcs, source = graph.arcs.copy(), graph.sources
    back = (arcs["label"] == 0) & (arcs["target"] <= source)
    rows = zip(source, np.where(back, 1, arcs["label"]), arcs["word"], arcs["cost"],
               arcs["target"], strict=True)  # fmt: skip
    final = {s: float(c) for s, c in enumerate(graph.final) if c < INF}
    return graph_of(n_states, list(rows), final)


@pytest.mark.parametrize("seed", range(12))
def test_kaldi_keeps_the_same_word_strings(seed, tmp_path):
    kaldifst = pytest.importorskip("kaldifst")
    kaldi_decoder = pytest.importorskip("kaldi_decoder")
    graph, scores = acyclic(20, 60, 6, seed), random_scores(9, 6, seed)
    graph.write_openfst(tmp_path / "graph.fst")
    fst = kaldifst.StdConstFst.read(str(tmp_path / "graph.fst"))
    config = kaldi_decoder.LatticeSimpleDecoderConfig(
        beam=12.0, lattice_beam=4.0, prune_interval=3, prune_scale=0.1
    )
    kaldi = kaldi_decoder.LatticeSimpleDecoder(fst, config)
    lattice = decode(graph, scores, SOME)
    assert kaldi.decode(kaldi_decoder.DecodableCtc(scores)) or not lattice.reached_final
    if not lattice.reached_final:
        return
    ok, raw = kaldi.get_raw_lattice()
    assert ok
    theirs = naive.within(kaldi_strings(raw), 4.0 - 1e-3)
    ours = naive.within(naive.strings(lattice), 4.0 - 1e-3)
    assert len(theirs) >= 1
    assert_strings(ours, theirs)


def kaldi_strings(raw):
    """Least cost of every word string of Kaldi's raw lattice, read from its text."""
    arcs, final, found = {}, {}, {}
    rows = [line.split() for line in str(raw).strip().splitlines()]
    for row in rows:
        cost = sum(map(float, row[-1].split(","))) if "," in row[-1] else 0.0
        if len(row) <= 2:
            final[row[0]] = cost
        else:
            arcs.setdefault(row[0], []).append((row[1], int(row[3]), cost))

    def walk(state, words, cost):
        if state in final:
            found[words] = min(found.get(words, INF), cost + final[state])
        for target, word, step in arcs.get(state, []):
            walk(target, words + (word,) * (word > 0), cost + step)

    walk(rows[0][0], (), 0.0)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.lists(st.integers(0, 90), max_size=8), st.integers(1, 100),
)  # fmt: skip
def test_any_chunking_and_interval_of_pruning_give_the_same_lattice(seed, cuts, interval):
    graph, scores = random_graph(300, 1000, 20, seed), random_scores(90, 20, seed)
    search = Search(graph, replace(SOME, prune_interval=interval))
    for chunk in np.split(scores, sorted(cuts)):
        search.advance(chunk)
    lattice = search.finish()
    assert_same(lattice, decode(graph, scores, SOME))
    assert_same(lattice, search.finish())


def test_a_search_begun_again_knows_nothing_of_the_last_one():
    graph, search = random_graph(300, 1000, 20, 1), None
    for seed in (1, 2):
        scores = random_scores(90, 20, seed)
        search = search or Search(graph, SOME)
        search.start()
        search.advance(scores)
        assert_same(search.finish(), decode(graph, scores, SOME))


def raw_of(graph, scores, options):
    """What a search wrote down, the cost of ending in its tokens, and both pruned."""
    search = Search(graph, options)
    search.advance(scores)
    cost, ending = search._token_costs()
    ending = ending if np.isfinite(ending).any() else cost
    extra = ending - ending.min()
    return search._forward, extra, raw_lattice(graph, search._forward, len(scores), extra)


@pytest.mark.parametrize("seed", range(8))
def test_a_sweep_keeps_what_its_naive_twin_keeps(seed):
    graph, scores = random_graph(60, 200, 10, seed), random_scores(30, 10, seed)
    unpruned, extra, _ = raw_of(graph, scores, replace(SOME, prune_interval=1000))
    nodes, links = naive.sweep(unpruned, len(scores), extra)
    for interval in (1, 7, 1000):
        raw = raw_of(graph, scores, replace(SOME, prune_interval=interval))[2]
        assert naive.nodes_of(raw) == nodes
        assert naive.links_of(raw) == naive.named(links, graph)


def test_links_are_arcs_of_the_graph_with_the_scores_of_their_frames():
    graph, scores = random_graph(60, 200, 10, 5), random_scores(30, 10, 5)
    raw = raw_of(graph, scores, SOME)[2]
    state, links = raw.nodes["state"], raw.links
    arcs = graph.arcs[links["arc"]]
    assert (graph.sources[links["arc"]] == state[links["source"]]).all()
    assert (arcs["target"] == state[links["target"]]).all()
    frame = np.searchsorted(raw.layers["node"], links["source"], side="right") - 1
    spoken = arcs["label"] != 0
    assert (raw.acoustic[~spoken] == 0).all()
    columns = graph.label_pdf[arcs["label"][spoken]]
    np.testing.assert_allclose(
        raw.acoustic[spoken], -scores[frame[spoken], columns], atol=2e-5, rtol=0
    )


@pytest.mark.parametrize("seed", range(8))
def test_pruning_on_the_way_drops_nothing_that_counts(seed):
    """The end prunes once more: from a search that never pruned comes the same lattice."""
    graph, scores = acyclic(200, 700, 20, seed), random_scores(24, 20, seed)
    whole = random_scores(60, 20, seed + 100)
    pruned = decode(graph, np.concatenate([scores, whole]), SOME)
    narrow = replace(SOME, lattice_beam=1.0)
    wide, least = (
        naive_links(decode(graph, np.concatenate([scores, whole]), o)) for o in (SOME, narrow)
    )
    assert least <= wide
    assert_well_formed(pruned)


def naive_links(lattice):
    columns = (lattice.arc_source, lattice.arc_target)
    return {
        (*lattice.node_frame[np.array(ends)].tolist(), int(word))
        for *ends, word in zip(*columns, lattice.arc_word, strict=True)
    }


def test_memory_stays_bounded_over_many_frames():
    graph = random_graph(500, 1800, 20, 3)
    search = Search(graph, replace(SOME, beam=6.0, max_active=100, min_active=5, lattice_beam=1.0))
    sizes = []
    for seed in range(40):
        search.advance(random_scores(100, 20, seed))
        sizes.append(int(search._forward.layers["link"][search.n_frames + 1]))
    # What must stay is what lies within the beam of the best path: a steady amount a frame.
    assert sizes[-1] < 1.5 * 40 * max(sizes[3] / 4, 1)
    assert len(search._forward.links) == FIRST_LINKS


def test_arcs_are_words_and_silences_with_their_times_and_phones():
    lattice = decode(word_graph(), spoken([4, 4, 1, 1, 2, 3, 3, 4, 4]), SOME)
    assert lattice.aligned
    assert lattice.node_frame.tolist() == [0, 2, 7, 9]
    assert lattice.arc_word.tolist() == [0, 1, 0]
    spoken_as = [lattice.pronunciations[p] for p in lattice.arc_pronunciation]
    assert spoken_as == [("SIL",), ("AA", "N"), ("SIL",)]
    assert [lattice.arc_phone_ends(arc).tolist() for arc in range(3)] == [[2], [5, 7], [9]]
    assert naive.strings(lattice) == {(1,): pytest.approx(lattice.best().cost, abs=1e-3)}
    assert lattice.depth == pytest.approx(1.0)


def test_a_word_label_may_stand_before_its_word():
    graph = word_graph()
    arcs = graph.arcs.copy()
    into = (arcs["label"] == 1) & (arcs["target"] == 1) & (graph.sources != 1)
    arcs["word"] = np.where(into & (graph.sources == 0), 1, 0)
    arcs["word"][into & (graph.sources == 3)] = 1
    lattice = decode(replace(graph, arcs=arcs), spoken([4, 1, 2, 3, 1, 2, 2, 3, 4]), SOME)
    assert lattice.arc_word.tolist() == [0, 1, 1, 0]
    assert lattice.node_frame.tolist() == [0, 1, 4, 8, 9]


def test_words_that_come_too_late_stand_where_the_graph_has_them():
    graph = word_graph()
    arcs = graph.arcs.copy()
    arcs["word"] = np.where((graph.sources == 4) & (arcs["target"] == 4), 1, 0)
    lattice = decode(replace(graph, arcs=arcs), spoken([4, 1, 2, 3, 4, 4]), SOME)
    assert not lattice.aligned
    assert lattice.best().word_ids in naive.strings(lattice)


def test_a_foreign_graph_has_nodes_where_its_words_stand():
    graph = graph_of(2, [(0, 1, 7, 0.5, 1), (1, 1, 0, 0.5, 1)], {1: 0.0})
    lattice = decode(graph, np.zeros((3, 1), np.float32))
    assert not lattice.aligned
    assert (lattice.arc_word.tolist(), lattice.node_frame.tolist()) == ([7, 0], [0, 1, 3])
    assert lattice.arc_graph.tolist() == [0.5, 1.0]


def test_where_no_path_survives_the_lattice_is_empty():
    lattice = decode(word_graph(), np.full((3, 4), -np.inf, np.float32))
    assert (lattice.n_nodes, lattice.n_arcs, lattice.depth) == (0, 0, 0.0)
    nothing_said = decode(word_graph(), np.zeros((0, 4), np.float32))
    assert (nothing_said.n_nodes, nothing_said.n_arcs) == (1, 0)
