"""Rescoring: a word lattice with the costs of another language model.

The nodes of the lattice are expanded by the state of the language model, so each arc of the result
has one history and its cost is exact. Of an arc's cost remains

    arc_graph_without_lm = arc_graph - first-pass LM cost by the exact back-off rule

that is pronunciation, transitions, silence, and a *remainder*: if the search backed off although
the n-gram exists, because that was cheaper, the difference remains.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language import WordScorer
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.paths import arc_excess, costs_to_end

INF = float("inf")


@dataclass(frozen=True)
class RescoreOptions:
    """Weights of the language model of the second pass.

    Examples
    --------
    >>> RescoreOptions(lm_scale=1.2, beam=6.0).max_states
    0
    """

    lm_scale: float = 1.0
    """Multiplies the new model's costs, ≥ 0, default 1; higher gives the model more weight."""
    word_insertion_penalty: float = 0.0
    """Cost of each word, default 0; higher gives fewer short words."""
    first_lm_scale: float = 1.0
    """Scale of the first model in the lattice's costs, ≥ 0, default 1."""
    beam: float = INF
    """Arcs whose best path, by the old costs, is more than this above the best are left out, ≥ 0,
    default inf; lower is faster."""
    max_states: int = 0
    """Histories kept at each node, the cheapest by the new costs; 0 (default): all, exact."""

    def __post_init__(self) -> None:
        if not 0 <= self.lm_scale < INF or not 0 <= self.first_lm_scale < INF:
            raise OptionError("scales of language models must be 0 or more")
        if not abs(self.word_insertion_penalty) < INF:
            raise OptionError("the word insertion penalty must be finite")
        if not self.beam >= 0:
            raise OptionError(f"the beam must be 0 or more, got {self.beam}")
        if self.max_states < 0:
            raise OptionError(f"the number of histories must be 0 or more, got {self.max_states}")


DEFAULTS = RescoreOptions()


def rescore(
    lattice: Lattice, scorer: WordScorer, options: RescoreOptions = DEFAULTS, *,
    first: WordScorer | None = None,
) -> Lattice:
    """Return the lattice with the costs of another language model in place of the first one's.

    Parameters
    ----------
    lattice
        Of a search or a file.
    scorer
        The new model: a `KenLMScorer`, an `NGramScorer`, or several in a `MixedScorer`.
    first
        The model of the first pass: its exact costs are subtracted from arcs and final costs.
        None subtracts ``arc_lm``, and nothing from the final costs.

    Returns
    -------
    Lattice
        ``arc_lm`` is the new model's scaled cost; ``arc_origin`` gives the arcs of the input.
        Words that the new model makes impossible are removed; there may be no path left.

    Examples
    --------
    >>> from factored_asr.language import NGramScorer, estimate
    >>> from factored_asr.lattice.files import read_slf_text
    >>> from factored_asr.lattice.paths import best_path
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=yes a=-7 l=-2\\n"
    >>> lattice = read_slf_text(text + "J=1 S=0 E=1 W=no a=-7.5 l=-2\\n")
    >>> new = NGramScorer(estimate([["no"]] * 9 + [["yes"]]))
    >>> best_path(lattice).words, best_path(rescore(lattice, new)).words
    (('yes',), ('no',))
    """
    return _Expansion(lattice, scorer, first, options).run()


def with_lm(lattice: Lattice, scorer: WordScorer, *, scale: float = 1.0) -> Lattice:
    """Return the same paths at the same costs, with ``arc_lm`` by the exact back-off rule.

    ``arc_graph - arc_lm`` is everything else, the remainder included.

    Examples
    --------
    >>> from factored_asr.language import NGramScorer, estimate
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=1 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=yes a=-7 l=-2\\n"
    >>> lattice = with_lm(read_slf_text(text), NGramScorer(estimate([["yes"], ["no"]])))
    >>> lattice.arc_lm.round(2).tolist(), lattice.arc_graph.tolist()
    ([1.02], [2.0])
    """
    options = RescoreOptions(lm_scale=scale, first_lm_scale=scale)
    return rescore(lattice, scorer, options, first=scorer)


_States = tuple[Hashable, Hashable]
"""State of the new model, state of the first."""
_Arc = tuple[int, tuple[int, _States], int, float, float]
"""A new arc: source, target still as (node, states), origin, graph cost without LM, LM cost."""


class _Expansion:
    """One pass over the nodes in topological order."""

    def __init__(
        self, lattice: Lattice, scorer: WordScorer, first: WordScorer | None,
        options: RescoreOptions,
    ) -> None:
        self.lattice, self.scorer, self.first, self.options = lattice, scorer, first, options
        self.outgoing = lattice.first_arcs()
        self.target = lattice.arc_target.tolist()
        self.word = lattice.arc_word.tolist()
        self.acoustic = np.asarray(lattice.arc_acoustic, np.float64).tolist()
        without = lattice.arc_graph - (lattice.arc_lm if first is None else 0.0)
        self.graph: list[float] = np.asarray(without, np.float64).tolist()
        alive = np.isfinite(lattice.arc_cost) & (costs_to_end(lattice)[lattice.arc_target] < INF)
        self.kept = (alive & (arc_excess(lattice) <= options.beam + 1e-9)).tolist()

    def run(self) -> Lattice:
        """Return the rescored lattice."""
        begin = self.scorer.start(), self.first.start() if self.first else None
        # By node and states: the cost of the best path there, by the new costs.
        waiting: dict[int, dict[_States, float]] = {0: {begin: 0.0}}
        number: dict[tuple[int, _States], int] = {}
        final: list[float] = []
        arcs: list[_Arc] = []
        for node in range(self.lattice.n_nodes):
            for states, cost in self._cheapest(waiting.pop(node, {})):
                number[node, states] = len(number)
                final.append(self._final(node, states))
                for arc, after, other, lm in self._leaving(node, states):
                    target = self.target[arc], after
                    arcs.append((number[node, states], target, arc, other, lm))
                    there = waiting.setdefault(self.target[arc], {})
                    total = cost + other + lm + self.acoustic[arc]
                    there[after] = min(total, there.get(after, INF))
        return self._lattice(arcs, number, final)

    def _cheapest(self, costs: dict[_States, float]) -> Iterable[tuple[_States, float]]:
        n = self.options.max_states
        if not n or len(costs) <= n:
            return costs.items()
        return sorted(costs.items(), key=lambda item: item[1])[:n]

    def _final(self, node: int, states: _States) -> float:
        cost = float(self.lattice.final[node])
        if cost == INF:
            return INF
        new, old = states
        if self.first:
            cost += self.options.first_lm_scale * self.first.finish(old)
        return cost - self._scaled(self.scorer.finish(new))

    def _scaled(self, log_prob: float) -> float:
        return self.options.lm_scale * log_prob if self.options.lm_scale else 0.0

    def _leaving(self, node: int, states: _States) -> Iterator[tuple[int, _States, float, float]]:
        """Yield each arc of a node: (arc, states after it, graph cost without LM, LM cost)."""
        for arc in range(self.outgoing[node], self.outgoing[node + 1]):
            if not self.kept[arc]:
                continue
            (new, old), other, lm = states, self.graph[arc], 0.0
            if self.word[arc]:
                word = self.lattice.spelt(self.word[arc])
                new, log_prob = self.scorer.score_word(new, word)
                lm = -self._scaled(log_prob)
                other += self.options.word_insertion_penalty
                if self.first:
                    old, log_prob = self.first.score_word(old, word)
                    other += self.options.first_lm_scale * log_prob
            if lm < INF:
                yield arc, (new, old), other, lm

    def _lattice(
        self, arcs: list[_Arc], number: dict[tuple[int, _States], int], final: list[float]
    ) -> Lattice:
        kept = [arc for arc in arcs if arc[1] in number]  # no histories beyond max_states
        source, target, origin, other, lm = zip(*kept, strict=True) if kept else [()] * 5
        return replace(
            self.lattice.with_arcs(np.array(origin, np.int64)),
            node_frame=self.lattice.node_frame[[node for node, _ in number]],
            final=np.array(final, np.float64), arc_source=np.array(source, np.int32),
            arc_target=np.array([number[key] for key in target], np.int32),
            arc_graph=np.add(other, lm, dtype=np.float64), arc_lm=np.array(lm, np.float64),
        )
