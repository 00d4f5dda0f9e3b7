"""Two acoustic models at once: the best word strings of one, scored again by another.

Models of different kinds err in different places. The costs of the other model, which lays
each string over the sound, are added to the lattice's with a weight: a log-linear combination of
models (P. Beyerlein, "Discriminative model combination", 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice, Nodes
from factored_asr.lattice.nbest import nbest
from factored_asr.lattice.path import WordSegment
from factored_asr.lattice.paths import LatticePath, prune

WordCosts = Callable[[Sequence[Sequence[WordSegment]]], Sequence[np.ndarray] | None]
"""Returns another model's cost of each word of word strings, (n_words,) for each string, with the
pronunciations of the segments; None where it cannot say one. The costs of a string account for the
whole sound."""

Combine = Callable[[Lattice], tuple[Lattice, "tuple[TwiceScored, ...]"]]
"""`combined` with another model and options."""


@dataclass(frozen=True)
class CombineOptions:
    """How the costs of another acoustic model are added.

    Examples
    --------
    >>> CombineOptions(weight=0.02).n
    10
    """

    weight: float = 0.0
    """Weight of the other model's costs, ≥ 0; default 0: it is not asked. Higher: it counts more.
    """
    n: int = 10
    """Word strings that it scores, ≥ 2, default 10; more are slower."""
    beam: float = 8.0
    """Strings that cost more than this above the best are left out, ≥ 0, default 8."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise OptionError(f"the weight of the other model must be 0 or more, got {self.weight}")
        if self.n < 2:
            raise OptionError(f"at least 2 word strings are combined, got {self.n}")
        if not self.beam >= 0:
            raise OptionError(f"the beam must be 0 or more, got {self.beam}")


@dataclass(frozen=True)
class TwiceScored:
    """One word string with the costs of both models.

    Examples
    --------
    >>> string = TwiceScored(("soy", "milk"), cost=80.25, acoustic=71.0, other=1402.5, weight=0.02)
    >>> string.total
    108.3
    """

    words: tuple[str, ...]
    """Without silences."""
    cost: float
    """Of all factors, the first model's acoustics among them."""
    acoustic: float
    """The first model's part of it, scaled as in the search."""
    other: float
    """The other model's acoustic cost, not scaled: −log likelihood of all frames."""
    weight: float
    """What the other model's cost is multiplied with."""

    @property
    def total(self) -> float:
        """Return the cost by which the string is selected."""
        return self.cost + self.weight * self.other


def combined(
    lattice: Lattice, costs_of: WordCosts, options: CombineOptions
) -> tuple[Lattice, tuple[TwiceScored, ...]]:
    """Return the lattice of the best word strings with the costs of both models, and the strings.

    Parameters
    ----------
    lattice
        With the phones of its arcs. It is returned as it is, without strings, where fewer than two
        strings are near the best, one has no words, or the other model cannot say one.
    costs_of
        The other model.

    Strings come in the order of the first model's costs.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> from factored_asr.lattice.paths import best_path
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=yes a=-7 l=-2\\n"
    >>> lattice = read_slf_text(text + "J=1 S=0 E=1 W=no a=-8 l=-2\\n")
    >>> other = {"yes": 700.0, "no": 500.0}
    >>> both, strings = combined(
    ...     lattice, lambda said: [np.array([other[each.word] for each in way]) for way in said],
    ...     CombineOptions(weight=0.01))
    >>> best_path(both).words, [(each.words[0], each.cost, each.total) for each in strings]
    (('no',), [('yes', 9.0, 16.0), ('no', 10.0, 15.0)])
    """
    near = prune(lattice, options.beam)
    paths = nbest(near, options.n) if options.weight else ()
    paths = tuple(path for path in paths if path.cost <= paths[0].cost + options.beam)
    if len(paths) < 2 or not all(path.words for path in paths):
        return lattice, ()
    costs, weight = costs_of([near.segments(path.arcs) for path in paths]), options.weight
    if costs is None:
        return lattice, ()
    strings = tuple(TwiceScored(path.words, path.cost, path.acoustic, float(cost.sum()), weight)
                    for path, cost in zip(paths, costs, strict=True))
    return _side_by_side(near, paths, [weight * each for each in costs]), strings


def _side_by_side(
    lattice: Lattice, paths: Sequence[LatticePath], costs: Sequence[np.ndarray]
) -> Lattice:
    """Return a lattice of these paths alone, each with nodes of its own after the first node.

    `costs`, an array for each path, has what each of its words costs more.
    """
    lengths = np.array([len(path.arcs) for path in paths])
    ends = np.cumsum(lengths)
    origin = np.concatenate([np.array(path.arcs, np.int64) for path in paths])
    more = np.zeros(len(origin))
    more[lattice.arc_word[origin] > 0] = np.concatenate([*costs])
    source, target = np.arange(len(origin)), np.arange(1, len(origin) + 1)
    source[ends - lengths] = 0
    final = np.full(len(origin) + 1, np.inf)
    final[ends] = lattice.final[lattice.arc_target[origin[ends - 1]]]
    frames = lattice.node_frame[[0, *lattice.arc_target[origin]]]
    order = np.argsort(source, kind="stable")
    nodes = Nodes(frames, final, source[order].astype(np.int32), target[order].astype(np.int32))
    made = lattice.with_arcs(origin[order], nodes)
    return replace(made, arc_acoustic=made.arc_acoustic + more[order])
