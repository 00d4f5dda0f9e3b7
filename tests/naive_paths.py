"""Slow, obvious twins of what is computed over lattices: all paths, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from factored_asr.lattice.lattice import Lattice

WORDS = ("<eps>", "a", "b", "c", "d")


def random_lattice(
    seed: int, *, n_nodes: int = 7, n_arcs: int = 14, n_words: int = 4, silence: float = 0.25
) -> Lattice:
    """A small lattice in which every node lies on a path; its last node is final, and some more."""
    rng = np.random.default_rng(seed)
    frames = np.sort(rng.choice(np.arange(1, 40), n_nodes - 1, replace=False))
    source = [*range(n_nodes - 1)]
    target = [*range(1, n_nodes)]
    for _ in range(n_arcs - len(source)):
        s = int(rng.integers(0, n_nodes - 1))
        source.append(s)
        target.append(int(rng.integers(s + 1, n_nodes)))
    order = np.argsort(source, kind="stable")
    word = rng.integers(1, n_words + 1, len(source)) * (rng.random(len(source)) > silence)
    final = np.full(n_nodes, np.inf)
    final[-1] = rng.random()
    lm = rng.random(len(source))
    return Lattice(
        node_frame=np.concatenate([[0], frames]).astype(np.int32),
        arc_source=np.array(source, np.int32)[order],
        arc_target=np.array(target, np.int32)[order],
        arc_word=word.astype(np.int32),
        arc_pronunciation=rng.integers(0, 3, len(source)).astype(np.int32),
        arc_acoustic=rng.normal(3, 2, len(source)),
        arc_graph=lm + rng.random(len(source)),
        arc_lm=lm * (word > 0),
        final=final,
        words=WORDS[: n_words + 1],
        pronunciations=((), ("A",), ("A", "B")),
        n_frames=int(frames[-1]),
        frame_seconds=0.01,
        acoustic_scale=0.125,
    )


def paths(lattice: Lattice, node: int = 0) -> Iterator[tuple[list[int], float]]:
    """Every path from a node to an end: its arcs, and its cost."""
    if lattice.final[node] < np.inf:
        yield [], float(lattice.final[node])
    for a in np.flatnonzero(lattice.arc_source == node).tolist():
        cost = float(lattice.arc_acoustic[a] + lattice.arc_graph[a])
        for arcs, rest in paths(lattice, int(lattice.arc_target[a])):
            yield [a, *arcs], cost + rest


def words_of(lattice: Lattice, arcs: list[int]) -> tuple[str, ...]:
    return tuple(lattice.words[lattice.arc_word[a]] for a in arcs if lattice.arc_word[a])


def strings(lattice: Lattice) -> dict[tuple[str, ...], float]:
    """Every word string with its least cost, cheapest first."""
    best: dict[tuple[str, ...], float] = {}
    for arcs, cost in paths(lattice):
        words = words_of(lattice, arcs)
        best[words] = min(cost, best.get(words, math.inf))
    return dict(sorted(best.items(), key=lambda item: item[1]))


def probabilities(lattice: Lattice, scale: float = 1.0) -> list[tuple[list[int], float]]:
    """Every path with its posterior probability."""
    found = [(arcs, math.exp(-scale * cost)) for arcs, cost in paths(lattice)]
    total = sum(p for _, p in found)
    return [(arcs, p / total) for arcs, p in found]


def arc_posteriors(lattice: Lattice, scale: float = 1.0) -> np.ndarray:
    sums = np.zeros(lattice.n_arcs)
    for arcs, p in probabilities(lattice, scale):
        sums[arcs] += p
    return sums


def edit_distance(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def risk(lattice: Lattice, words: tuple[str, ...], scale: float = 1.0) -> float:
    """Expected number of word errors of a string."""
    return sum(
        p * edit_distance(words_of(lattice, arcs), words)
        for arcs, p in probabilities(lattice, scale)
    )


def rescored(
    lattice: Lattice,
    score: Callable[[tuple[str, ...]], float],
    first: Callable[[tuple[str, ...]], float],
    lm_scale: float,
    penalty: float,
    first_scale: float = 1.0,
) -> list[tuple[float, tuple[str, ...]]]:
    """Cost and words of every path with whole sentences rescored, cheapest first."""
    found = []
    for arcs, cost in paths(lattice):
        words = words_of(lattice, arcs)
        cost += first_scale * first(words) - lm_scale * score(words) + penalty * len(words)
        found.append((cost, words))
    return sorted(found)
