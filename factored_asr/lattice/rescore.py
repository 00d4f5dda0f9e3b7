"""The second pass: a word lattice whose language-model costs are computed anew by another model.

The nodes of the lattice are expanded by the state of the language model, so that each arc of the
result knows its history and its cost is exact. Of the searched cost of an arc stays

    arc_graph_without_lm = arc_graph - first-pass LM cost by the exact back-off rule

that is pronunciation, transitions, silence, and a *remainder*: where the graph let the search back
off although the n-gram was there, because backing off was cheaper, the difference stays in here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language import WordScorer
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.paths import arc_excess, costs_to_end

INF = float("inf")


@dataclass(frozen=True)
class RescoreOptions:
    """How the second pass weighs its language model."""

    lm_scale: float = 1.0
    """Multiplies the new model's costs: raise it to trust the model more and the sound less."""
    word_insertion_penalty: float = 0.0
    """Cost of each word: raise it where too many short words come out."""
    first_lm_scale: float = 1.0
    """The scale at which the first model stands in the lattice's costs."""
    beam: float = INF
    """Arcs whose best path, by the old costs, is this much above the best are left out first."""
    max_states: int = 0
    """Histories kept at each node, the cheapest by the new costs; 0 keeps all, and is exact."""

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
    lattice: Lattice,
    scorer: WordScorer,
    options: RescoreOptions = DEFAULTS,
    *,
    first: WordScorer | None = None,
) -> Lattice:
    """The lattice with the costs of another language model in place of the first one's.

    Parameters
    ----------
    lattice
        From the search, or from a file.
    scorer
        The new model: a `KenLMScorer`, an `NGramScorer`, or several in a `MixedScorer`.
    first
        The model of the first pass: its exact costs are taken off the arcs and the final costs.
        None takes off what stands in ``arc_lm``, and nothing of the final costs.

    Returns
    -------
    Lattice
        ``arc_lm`` is the new model's cost, scaled; ``arc_origin`` leads back to the arcs given.
        Words that the new model makes impossible are gone; no path may be left.
    """
    expansion = _Expansion(lattice, scorer, first, options)
    return expansion.run()


def with_lm(lattice: Lattice, scorer: WordScorer, *, scale: float = 1.0) -> Lattice:
    """The same paths at the same costs, with ``arc_lm`` computed by the exact back-off rule.

    What is left in ``arc_graph - arc_lm`` is everything else, the remainder included.
    """
    options = RescoreOptions(lm_scale=scale, first_lm_scale=scale)
    return rescore(lattice, scorer, options, first=scorer)


_States = dict[tuple[Hashable, Hashable], float]
"""(state of the new model, state of the first) → cost of the best path, by the new costs."""


@dataclass
class _Columns:
    """What an expansion writes down of each arc; its target still as (node, states)."""

    source: list[int] = field(default_factory=list)
    target: list[tuple[int, tuple[Hashable, Hashable]]] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    lm: list[float] = field(default_factory=list)


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
        self.kept = (self._alive() & (arc_excess(lattice) <= options.beam + 1e-9)).tolist()

    def _alive(self) -> np.ndarray:
        ahead = costs_to_end(self.lattice)
        return np.isfinite(self.lattice.arc_cost) & (ahead[self.lattice.arc_target] < INF)

    def run(self) -> Lattice:
        begin = self.scorer.start(), self.first.start() if self.first else None
        waiting: dict[int, _States] = {0: {begin: 0.0}}
        number: dict[tuple[int, tuple[Hashable, Hashable]], int] = {}
        frames: list[int] = []
        final: list[float] = []
        columns = _Columns()
        for node in range(len(self.lattice.node_frame)):
            for states, cost in self._cheapest(waiting.pop(node, {})):
                number[node, states] = len(frames)
                frames.append(int(self.lattice.node_frame[node]))
                final.append(self._final(node, states))
                for arc, after, other, lm in self._leaving(node, states):
                    columns.source.append(number[node, states])
                    columns.target.append((self.target[arc], after))
                    columns.origin.append(arc)
                    columns.other.append(other)
                    columns.lm.append(lm)
                    there = waiting.setdefault(self.target[arc], {})
                    total = cost + other + lm + self.acoustic[arc]
                    there[after] = min(total, there.get(after, INF))
        return self._lattice(columns, number, np.array(frames, np.int32), np.array(final))

    def _cheapest(self, states: _States) -> list[tuple[tuple[Hashable, Hashable], float]]:
        n = self.options.max_states
        if not n or len(states) <= n:
            return list(states.items())
        return sorted(states.items(), key=lambda item: item[1])[:n]

    def _final(self, node: int, states: tuple[Hashable, Hashable]) -> float:
        cost = float(self.lattice.final[node])
        if cost == INF:
            return INF
        new, old = states
        if self.first:
            cost += self.options.first_lm_scale * self.first.finish(old)
        return cost - self._scaled(self.scorer.finish(new))

    def _scaled(self, log_prob: float) -> float:
        return self.options.lm_scale * log_prob if self.options.lm_scale else 0.0

    def _leaving(
        self, node: int, states: tuple[Hashable, Hashable]
    ) -> Iterator[tuple[int, tuple[Hashable, Hashable], float, float]]:
        """Each arc that leaves: (arc, states after it, cost of the graph without LM, LM cost)."""
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
        self, columns: _Columns,
        number: dict[tuple[int, tuple[Hashable, Hashable]], int],
        frames: np.ndarray, final: np.ndarray,
    ) -> Lattice:
        target = np.array([number.get(key, -1) for key in columns.target], np.int32)
        kept = np.flatnonzero(target >= 0)  # histories beyond max_states are gone
        origin = np.array(columns.origin, np.int64)[kept]
        lm = np.array(columns.lm, np.float64)[kept]
        return replace(
            self.lattice.with_arcs(origin), node_frame=frames, final=final.astype(np.float64),
            arc_source=np.array(columns.source, np.int32)[kept], arc_target=target[kept],
            arc_graph=np.array(columns.other, np.float64)[kept] + lm, arc_lm=lm,
        )
