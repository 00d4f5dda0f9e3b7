"""Posteriors of arcs, confusion networks and minimum Bayes risk, against sums over all paths."""

from __future__ import annotations

import dataclasses

import naive_paths as naive
import numpy as np
import pytest

from factored_asr.errors import OptionError
from factored_asr.lattice.confusion import confusion_network
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.paths import best_path
from factored_asr.lattice.posteriors import arc_posteriors, frame_sums, word_posterior


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(8))
def test_posteriors_are_those_of_all_paths(seed: int, scale: float) -> None:
    lattice = naive.random_lattice(seed)
    found = arc_posteriors(lattice, scale=scale)
    np.testing.assert_allclose(found.arc, naive.arc_posteriors(lattice, scale), atol=1e-12)
    np.testing.assert_allclose(frame_sums(lattice, found.arc), 1, atol=1e-9)
    total = sum(np.exp(-scale * cost) for _, cost in naive.paths(lattice))
    assert found.log_total == pytest.approx(np.log(total))
    assert (found.node[0], found.final.sum()) == pytest.approx((1, 1))


def test_sums_stay_one_where_costs_are_large() -> None:
    """Costs of a minute of speech would underflow as plain numbers."""
    lattice = naive.random_lattice(4, n_nodes=30, n_arcs=200)
    lattice = dataclasses.replace(lattice, arc_acoustic=lattice.arc_acoustic * 10 + 3000)
    sums = frame_sums(lattice, arc_posteriors(lattice).arc)
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def test_without_a_path_nothing_is_probable() -> None:
    lattice = naive.random_lattice(0)
    lattice = dataclasses.replace(lattice, final=np.full(lattice.n_nodes, np.inf))
    found = arc_posteriors(lattice)
    assert not found.arc.any() and found.log_total == -np.inf
    network = confusion_network(lattice)
    assert network.words == () and network.text == ""


def test_a_larger_scale_is_surer() -> None:
    lattice = naive.random_lattice(2)
    best = best_path(lattice)
    assert best is not None
    sure = [arc_posteriors(lattice, scale=s).arc[best.arcs[0]] for s in (0.1, 1, 10, 100)]
    assert sure[-1] == pytest.approx(1, abs=1e-3) and sure[0] < sure[-1]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_are_checked(scale: float) -> None:
    with pytest.raises(OptionError, match="scale of posteriors must be above 0"):
        arc_posteriors(naive.random_lattice(0), scale=scale)


def two_words(costs: list[list[float]], words: list[list[int]]) -> Lattice:
    """A chain of nodes ten frames apart, alternatives between neighbours."""
    source = [i for i, c in enumerate(costs) for _ in c]
    n = len(source)
    return Lattice(
        node_frame=np.arange(len(costs) + 1, dtype=np.int32) * 10,
        arc_source=np.array(source), arc_target=np.array(source) + 1,
        arc_word=np.concatenate(words).astype(np.int32), arc_pronunciation=np.zeros(n, np.int32),
        arc_acoustic=np.concatenate(costs), arc_graph=np.zeros(n), arc_lm=np.zeros(n),
        final=np.array([np.inf] * len(costs) + [0.0]), words=naive.WORDS,
        n_frames=10 * len(costs),
    )


def test_a_confusion_network_stays_what_it_is() -> None:
    """Independent alternatives: the confusion network is the lattice itself."""
    p, q = [0.7, 0.3], [0.4, 0.35, 0.25]
    lattice = two_words([list(-np.log(p)), list(-np.log(q))], [[1, 2], [3, 4, 0]])
    network = confusion_network(lattice)
    first, second = network.words
    assert (first.word, first.start, first.end) == ("a", 0.0, 10.0)
    assert dict(first.alternatives) == pytest.approx({"a": 0.7, "b": 0.3})
    assert dict(second.alternatives) == pytest.approx({"c": 0.4, "d": 0.35, "": 0.25})
    assert network.risk == pytest.approx(0.3 + 0.6, abs=1e-4)


def test_the_least_risk_is_not_the_best_path() -> None:
    """One path leads, but all the others agree on another first word."""
    lattice = two_words(
        [list(-np.log([0.45, 0.55])), list(-np.log([0.34, 0.33, 0.33]))], [[1, 2], [3, 4, 1]]
    )
    # Best path through a's own branch: make "a c" one joint path by a bonus on a shared arc.
    source = np.array([0, 0, 1, 2, 2, 2])
    lattice = dataclasses.replace(
        lattice,
        node_frame=np.array([0, 10, 10, 20], np.int32), arc_source=source,
        arc_target=np.array([1, 2, 3, 3, 3, 3]), arc_word=np.array([1, 2, 3, 1, 3, 4], np.int32),
        arc_pronunciation=np.zeros(6, np.int32),
        arc_acoustic=-np.log([0.4, 0.6, 1.0, 0.34, 0.33, 0.33]), arc_graph=np.zeros(6),
        arc_lm=np.zeros(6), final=np.array([np.inf, np.inf, np.inf, 0.0]),
    )
    assert confusion_network(lattice).text == "a c"
    network = confusion_network(lattice, minimise_risk=True)
    assert network.text == "b c"
    assert network.risk == pytest.approx(naive.risk(lattice, ("b", "c")), abs=1e-4)
    assert network.risk < confusion_network(lattice).risk


@pytest.mark.parametrize("seed", range(20))
def test_places_of_a_network_sum_to_one_and_risk_bounds_the_true_one(seed: int) -> None:
    lattice = naive.random_lattice(seed, n_words=3)
    best = best_path(lattice)
    assert best is not None
    network = confusion_network(lattice)
    assert tuple(slot.word for slot in network.words) == best.words
    for slot in network.slots:
        assert sum(p for _, p in slot.alternatives) == pytest.approx(1, abs=1e-6)
        assert 0 <= slot.confidence <= 1
    assert all(slot.start < slot.end for slot in network.words)
    true = naive.risk(lattice, best.words)
    assert true - 1e-9 <= network.risk
    # Errors in the places make up the risk, but for a second word in one gap, which has no place.
    errors = sum(1 - dict(slot.alternatives).get(slot.word, 0.0) for slot in network.slots)
    assert errors <= network.risk + 1e-6
    assert confusion_network(lattice, minimise_risk=True).risk <= network.risk + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_lattice_of_one_path_is_certain(seed: int) -> None:
    lattice = naive.random_lattice(seed, n_nodes=6, n_arcs=5, silence=0.2)
    network = confusion_network(lattice)
    assert network.risk == pytest.approx(0, abs=1e-9)
    assert all(slot.confidence == pytest.approx(1) for slot in network.words)


def test_another_string_can_be_judged() -> None:
    lattice = two_words([list(-np.log([0.7, 0.3]))], [[1, 2]])
    other, = confusion_network(lattice, [2]).words
    assert (other.word, round(other.confidence, 6)) == ("b", 0.3)
    absent, = confusion_network(lattice, [4]).words
    assert absent.confidence == 0 and np.isnan(absent.start)
    with pytest.raises(OptionError, match="word ids must be 1 to 4"):
        confusion_network(lattice, [9])


@pytest.mark.parametrize("seed", range(6))
def test_a_word_within_its_time_span(seed: int) -> None:
    lattice = naive.random_lattice(seed)
    posteriors = naive.arc_posteriors(lattice)
    start, end = 3, lattice.n_frames - 2
    here = lattice.arc_word == 1
    frames = [
        posteriors[here & (lattice.node_frame[lattice.arc_source] <= t)
                   & (t < lattice.node_frame[lattice.arc_target])].sum()
        for t in range(start, end)
    ]
    found = word_posterior(lattice, posteriors, 1, start, end)
    assert found == pytest.approx(max(frames))
