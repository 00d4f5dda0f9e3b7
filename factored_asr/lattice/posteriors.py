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

    Parameters
    ----------
    lattice
        Arcs in topological order. One without a path gets zeros.
    scale
        Multiplies every cost, acoustic (scaled already) and graph; default 1, lower gives flatter
        posteriors.

    Raises
    ------
    OptionError
        For a scale that is not above 0.

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
    arc = np.exp(
        ahead[0] - (behind[lattice.arc_source] + arc_cost + ahead[lattice.arc_target])
    )
    node, final = (np.exp(ahead[0] - (behind + after)) for after in (ahead, final_cost))
    return Posteriors(arc, node, final, -float(ahead[0]))


def frame_sums(lattice: Lattice, posteriors: np.ndarray) -> np.ndarray:
    """Return the sum of the posteriors of the arcs over each frame, float64: 1 in a lattice."""
    change = np.zeros(lattice.n_frames + 1)
    np.add.at(change, lattice.node_frame[lattice.arc_source], posteriors)
    np.add.at(change, lattice.node_frame[lattice.arc_target], -posteriors)
    return np.cumsum(change)[:-1]


def word_posterior(
    lattice: Lattice, posteriors: np.ndarray, word_id: int, start: int, end: int
) -> float:
    """Return the maximum over the frames of a span of the summed posteriors of a word's arcs.

    The simplest confidence (C_max of Wessel et al. 2001): exact ends of arcs do not matter.
    """
    same = np.flatnonzero(lattice.arc_word == word_id)
    first = np.clip(lattice.node_frame[lattice.arc_source[same]], start, end) - start
    last = np.clip(lattice.node_frame[lattice.arc_target[same]], start, end) - start
    change = np.zeros(max(end - start, 0) + 1)
    np.add.at(change, first, posteriors[same])
    np.add.at(change, last, -posteriors[same])
    return float(min(np.cumsum(change)[:-1].max(initial=0.0), 1.0))
