"""The exact bonuses of hotwords, in place of the shares that a search gave their words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.language.hotwords import HotwordScorer
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.path import Path, PhoneSegment
from factored_asr.lattice.paths import LatticePath, best_path
from factored_asr.lattice.rescore import rescore


@dataclass(frozen=True, eq=False)
class HotwordPass:
    """Replaces shares by bonuses.

    Examples
    --------
    >>> from factored_asr.language.hotwords import HotwordScorer
    >>> HotwordPass(HotwordScorer({("home", "assistant"): 3.0})).bonus(("ask", "home", "assistant"))
    3.0
    """

    scorer: HotwordScorer
    """Knows the phrases and their bonuses."""

    def __call__(self, lattice: Lattice) -> Lattice:
        """Return a lattice whose costs have the bonus of each phrase where it ends.

        Its best path is the cheapest by these costs, but has none of them in its own cost, which is
        compared with other models.
        """
        path = lattice.path
        if path is None or not path.words:
            return lattice
        shares = np.array([self.scorer.shares.get(word, 0.0) for word in path.words])
        path = replace(path, cost=path.cost + float(shares.sum()))
        if not self.scorer.has_phrases or not lattice.n_nodes or not path.reached_final:
            return replace(lattice, path=path)
        ids, which = np.unique(lattice.arc_word, return_inverse=True)
        words = [lattice.spelt(i) if i else "" for i in ids.tolist()]
        given = np.array([self.scorer.shares.get(word, 0.0) for word in words])[which.ravel()]
        plain = replace(lattice, arc_graph=lattice.arc_graph + given)
        exact = rescore(replace(plain, arc_lm=np.zeros(plain.n_arcs)), self.scorer)
        best = best_path(exact)
        if best is not None and best.word_ids != path.word_ids:
            path = _as_path(exact, best, path)
        return replace(exact, arc_lm=np.zeros(exact.n_arcs), path=path)

    def bonus(self, words: tuple[str, ...]) -> float:
        """Return the sum of a word string's bonuses."""
        return float(sum(self.scorer.bonuses(words)))


def _as_path(lattice: Lattice, best: LatticePath, path: Path) -> Path:
    """A path of the lattice in place of the search's; the arcs of the graph are not known."""
    phones = list[PhoneSegment]()
    for arc in best.arcs:
        phones += lattice.segment(arc).phones
    gained = -float(lattice.arc_lm[list(best.arcs)].sum())
    return replace(path, cost=best.cost + gained, word_ids=best.word_ids, words=best.words,
                   segments=lattice.segments(best.arcs), phones=tuple(phones),
                   arcs=np.zeros(0, np.int64))
