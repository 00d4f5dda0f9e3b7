"""The best word strings of a lattice are those that listing all its paths gives."""

from __future__ import annotations

import dataclasses

import naive_paths as naive
import numpy as np
import pytest

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.nbest import nbest
from factored_asr.lattice.paths import arc_excess, best_path, prune


@pytest.mark.parametrize("silence", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(12))
def test_the_list_is_that_of_all_paths(seed: int, silence: float) -> None:
    lattice = naive.random_lattice(seed, n_words=2, n_arcs=16, silence=silence)
    expected = naive.strings(lattice)
    found = nbest(lattice, len(expected) + 10)
    assert len(found) == len(expected) == len({path.words for path in found})
    for path, (_, cost) in zip(found, expected.items(), strict=True):
        assert path.cost == pytest.approx(cost, abs=1e-9)
        assert expected[path.words] == pytest.approx(path.cost, abs=1e-9)
    assert [p.words for p in nbest(lattice, 3)] == [p.words for p in found[:3]]
    best = best_path(lattice)
    assert best is not None and best.cost == pytest.approx(found[0].cost)
    assert best.words == found[0].words


@pytest.mark.parametrize("seed", range(12))
def test_paths_may_end_in_many_places(seed: int) -> None:
    lattice = naive.random_lattice(seed, n_words=2)
    final = np.random.default_rng(seed).exponential(4, lattice.n_nodes)
    lattice = dataclasses.replace(lattice, final=final)
    expected = list(naive.strings(lattice).values())
    for n in (2, 5, 1000):
        assert [p.cost for p in nbest(lattice, n)] == pytest.approx(expected[:n], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_pruning_keeps_the_paths_within_the_beam(seed: int) -> None:
    lattice = naive.random_lattice(seed)
    smaller = prune(lattice, 2.0)
    best = min(cost for _, cost in naive.paths(lattice))
    near = sorted(cost for _, cost in naive.paths(lattice) if cost <= best + 2)
    assert sorted(cost for _, cost in naive.paths(smaller))[: len(near)] == pytest.approx(near)
    assert smaller.n_arcs <= lattice.n_arcs
    assert (smaller.arc_word == lattice.arc_word[smaller.arc_origin]).all()
    with pytest.raises(OptionError, match="beam must be 0 or more"):
        prune(lattice, -1.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_path_is_one_through_the_lattice(seed: int) -> None:
    lattice = naive.random_lattice(seed)
    for path in nbest(lattice, 10):
        arcs = list(path.arcs)
        assert lattice.arc_source[arcs[0]] == 0
        assert (lattice.arc_source[arcs[1:]] == lattice.arc_target[arcs[:-1]]).all()
        end = lattice.final[lattice.arc_target[arcs[-1]]]
        graph = lattice.arc_graph[arcs].sum()
        assert path.cost == pytest.approx(path.acoustic + graph + end)
        assert path.words == naive.words_of(lattice, arcs)


def test_segmentations_of_one_string_are_one_entry() -> None:
    """Four ways to say "a a", with silence or without, are one entry at the cheapest cost."""
    lattice = naive.random_lattice(3, n_words=1, silence=0.5)
    found = nbest(lattice, 100)
    assert len({len(path.words) for path in found}) == len(found) < len(list(naive.paths(lattice)))


@pytest.mark.parametrize("seed", range(5))
def test_the_excess_of_an_arc_is_that_of_its_best_path(seed: int) -> None:
    lattice = naive.random_lattice(seed)
    paths = list(naive.paths(lattice))
    best = min(cost for _, cost in paths)
    for a, excess in enumerate(arc_excess(lattice)):
        assert excess == pytest.approx(min(c for arcs, c in paths if a in arcs) - best, abs=1e-9)


def test_a_lattice_without_an_end_has_no_path() -> None:
    lattice = naive.random_lattice(0)
    endless = dataclasses.replace(lattice, final=np.full(lattice.n_nodes, np.inf))
    assert best_path(endless) is None and nbest(endless, 5) == ()
    assert np.isinf(arc_excess(endless)).all()


def test_a_start_that_is_final_is_the_empty_string() -> None:
    lattice = naive.random_lattice(1)
    silent = dataclasses.replace(lattice, final=np.array([-1e3, *lattice.final[1:]]))
    best = best_path(silent)
    assert best is not None and (best.words, best.arcs, best.cost) == ((), (), -1e3)


def test_depth_counts_arcs_over_a_frame() -> None:
    lattice = naive.random_lattice(2)
    frames = [
        ((lattice.node_frame[lattice.arc_source] <= t)
         & (t < lattice.node_frame[lattice.arc_target])).sum()
        for t in range(lattice.n_frames)
    ]
    assert lattice.depth == pytest.approx(np.mean(frames))


def test_no_list_of_nothing() -> None:
    with pytest.raises(OptionError, match="at least 1, got 0"):
        nbest(naive.random_lattice(0), 0)


@pytest.mark.parametrize(("change", "message"), [
    (lambda x: {"arc_target": x.arc_source}, "higher number"),
    (lambda x: {"arc_source": x.arc_source[::-1]}, "sorted by their source"),
    (lambda x: {"arc_lm": x.arc_lm[1:]}, "arc_lm must have 14 entries"),
    (lambda x: {"arc_word": x.arc_word + 9}, "words of arcs must be 0 to 4"),
    (lambda x: {"final": x.final[1:]}, "7 nodes has 6 final costs"),
    (lambda x: {"node_frame": x.node_frame[::-1]}, "back in time"),
])
def test_arrays_that_are_no_lattice_are_refused(change, message: str) -> None:
    lattice = naive.random_lattice(0)
    with pytest.raises(OptionError, match=message):
        dataclasses.replace(lattice, **change(lattice))


def test_a_long_lattice_does_not_run_out_of_stack() -> None:
    n = 5000
    lattice = Lattice(
        node_frame=np.arange(n + 1, dtype=np.int32), arc_source=np.arange(n), n_frames=n,
        arc_target=np.arange(1, n + 1), arc_word=np.ones(n, np.int32),
        arc_pronunciation=np.zeros(n, np.int32), arc_acoustic=np.ones(n), arc_graph=np.zeros(n),
        arc_lm=np.zeros(n), final=np.array([np.inf] * n + [0.0]), words=("<eps>", "a"),
    )
    best = best_path(lattice)
    assert best is not None and best.cost == n and len(best.words) == n
