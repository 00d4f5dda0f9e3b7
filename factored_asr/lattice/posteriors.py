"""Posterior probabilities of the arcs of a word lattice, by forward-backward.

The lattice is not determinised: a word string has the sum of its segmentations and pronunciations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.paths import costs_from_start, costs_to_end, sum_of_ways

INF = float("inf")


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Probabilities of the arcs and nodes of a lattice."""

    arc: np.ndarray
    """(n_arcs,) float64: probability that the path goes through an arc, 0 to 1."""
    node: np.ndarray
    """(n_nodes,) float64: probability that the path goes through a node, 0 to 1."""
    final: np.ndarray
    """(n_nodes,) float64: probability that the path ends in a node, 0 to 1; they sum to 1."""
    log_total: float
    """Natural log of the sum over all paths of exp(-scale * cost); -inf if there is no path."""


def arc_posteriors(lattice: Lattice, *, scale: float = 1.0) -> Posteriors:
    """Return posterior probabilities of arcs and nodes, by forward-backward in the log domain.

    A lattice without a path gets zeros. `scale`, > 0, multiplies every cost, acoustic (scaled
    already) and graph; default 1, lower gives flatter posteriors.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-2\\n"
    >>> arc_posteriors(read_slf_text(text)).arc.round(6)
    array([0.5, 0.5])
    """
    if not 0 < scale < INF:
        raise OptionError(f"the scale of posteriors must be above 0, got {scale}")
    behind = costs_from_start(lattice, scale, sum_of_ways)
    ahead = costs_to_end(lattice, scale, sum_of_ways)
    if not lattice.n_nodes or ahead[0] == INF:
        none = np.zeros(lattice.n_nodes)
        return Posteriors(np.zeros(lattice.n_arcs), none, none, -INF)
    arc_cost, final_cost = scale * lattice.arc_cost, scale * np.asarray(lattice.final, np.float64)
    arc = np.exp(ahead[0] - (behind[lattice.arc_source] + arc_cost + ahead[lattice.arc_target]))
    node, final = (np.exp(ahead[0] - (behind + after)) for after in (ahead, final_cost))
    return Posteriors(arc, node, final, -float(ahead[0]))


def frame_sums(lattice: Lattice, posteriors: np.ndarray) -> np.ndarray:
    """Return the sum of the posteriors of the arcs over each frame, float64: 1 in a lattice."""
    starts, ends = (lattice.node_frame[at] for at in (lattice.arc_source, lattice.arc_target))
    return _running_sum(starts, ends, posteriors, lattice.n_frames)


def word_posterior(
    lattice: Lattice, posteriors: np.ndarray, word_id: int, start: int, end: int
) -> float:
    """Return the maximum over the frames of a span of the summed posteriors of a word's arcs.

    The simplest confidence (C_max of Wessel et al. 2001): exact ends of arcs do not matter.
    """
    same = np.flatnonzero(lattice.arc_word == word_id)
    first, last = (np.clip(lattice.node_frame[at[same]], start, end) - start
                   for at in (lattice.arc_source, lattice.arc_target))
    sums = _running_sum(first, last, posteriors[same], max(end - start, 0))
    return float(min(sums.max(initial=0.0), 1.0))


def _running_sum(starts: np.ndarray, ends: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Return for each of n frames the sum of the values whose spans cover it, float64."""
    change = np.zeros(n + 1)
    np.add.at(change, starts, values)
    np.subtract.at(change, ends, values)
    return np.cumsum(change)[:-1]
