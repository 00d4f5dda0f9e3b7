"""The background model's best path, cut into stretches at the parts of the command's path.

Both paths cover the same frames, so the background's costs over all parts of the command add up to
its whole cost, and the differences to the margin that decided. The graph of the background charges
a word where it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.explain.path_costs import Part, graph_costs
from factored_asr.graph import Graph
from factored_asr.lattice import Path


@dataclass(frozen=True)
class BackgroundShare:
    """What the background model has in the time of a part of the command, and its cost there.

    Examples
    --------
    >>> BackgroundShare(("turn", "off"), acoustic=210.5, graph=9.5).cost
    220.0
    """

    words: tuple[str, ...]
    """Words whose middle is there; `graph.BACKGROUND` is a phone outside of known words."""
    acoustic: float
    """Cost of the frames in the background's states."""
    graph: float
    """All other cost: words, frames of speech, transitions, silences."""

    @property
    def cost(self) -> float:
        """Return the whole cost."""
        return self.acoustic + self.graph


def background_shares(
    background: Graph, path: Path, scores: np.ndarray, parts: Sequence[Part]
) -> tuple[BackgroundShare, ...]:
    """Return the share of the background's best path in each part.

    Parameters
    ----------
    background, path
        The graph, and the best path through it.
    scores
        (n_frames,) float32: scaled log-likelihood of each frame in that path's state.
    parts
        Of the command's path, the end of the sentence last: they cover the same frames.
    """
    paid = graph_costs(background, path)
    middles = [((word.start or 0) + (word.end or 0)) // 2 for word in path.segments]
    shares = []
    for part in parts:
        words = tuple(
            word for word, middle in zip(path.words, middles, strict=True)
            if part.start <= middle < part.end
        )
        graph = paid[part.start :] if part.kind == "end" else paid[part.start : part.end]
        acoustic = -float(scores[part.start : part.end].sum(dtype=np.float64))
        shares.append(BackgroundShare(words, acoustic, float(graph.sum())))
    return tuple(shares)
