"""What a command was held against: the background's best path, stretch by stretch of the command's.

Both paths cover the same frames, so what the background paid in the time of each word of the
command adds up to all that it paid, and the differences to the margin that decided. Where a path
pays for a word is up to its graph: the background charges a word where it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.explain.path_costs import Part, graph_costs
from factored_asr.graph import Graph
from factored_asr.lattice import Path


@dataclass(frozen=True)
class Beside:
    """What the background hears in the time of a part of the command, and what it pays there."""

    words: tuple[str, ...]
    """Those whose middle lies there; `graph.BACKGROUND` is a phone of no word that is known."""
    acoustic: float
    """Cost of its frames in the background's states."""
    graph: float
    """Every other cost: of words, of frames of speech, transitions, silences."""

    @property
    def cost(self) -> float:
        """All that the background pays there."""
        return self.acoustic + self.graph


def beside(
    background: Graph, rival: Path, scores: np.ndarray, parts: Sequence[Part]
) -> tuple[Beside, ...]:
    """The background's best path, cut where the parts of the command's are; one for each.

    Parameters
    ----------
    background, rival
        The graph, and the best path through it.
    scores
        (n_frames,) float32: scaled log-likelihood of each frame in the rival's state.
    parts
        Of the command's path, the end of the sentence last: they cover the same frames.
    """
    paid = graph_costs(background, rival)
    middles = [((word.start or 0) + (word.end or 0)) // 2 for word in rival.segments]
    cut = []
    for part in parts:
        words = tuple(
            word for word, middle in zip(rival.words, middles, strict=True)
            if part.start <= middle < part.end
        )
        graph = paid[part.start :] if part.kind == "end" else paid[part.start : part.end]
        acoustic = -float(scores[part.start : part.end].sum(dtype=np.float64))
        cut.append(Beside(words, acoustic, float(graph.sum())))
    return tuple(cut)
