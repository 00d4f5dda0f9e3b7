"""Lattice-free MMI: the objective of chain models, and its gradient.

The objective of an utterance is the log of a quotient. The numerator sums over all paths of frames
through what was said, the denominator over all paths through all that could be said. That is a
graph of phones, so small that no lattice is needed. The gradient with respect to the network's
outputs is the difference of two posteriors, numerator less denominator.

Source: D. Povey and others (2016), "Purely sequence-trained neural networks for ASR based on
lattice-free MMI", Interspeech.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.training.chain import _kernels

LEAK = 1e-5
"""Default weight of jumps in the denominator."""


@dataclass(frozen=True, eq=False)
class ChainGraph:
    """A graph whose nodes are phones in context, each an HMM of one state.

    A frame that enters a node has the score of its entry pdf, a frame that stays in it that of its
    loop pdf. Transitions of the HMM are the same everywhere and cancel out, so there are none.

    Raises
    ------
    OptionError
        Arrays that do not fit each other.
    """

    entry_pdf: np.ndarray
    """(n_nodes,) int32."""
    loop_pdf: np.ndarray
    """(n_nodes,) int32."""
    source: np.ndarray
    """(n_arcs,) int32: node that an arc leaves."""
    target: np.ndarray
    """(n_arcs,) int32: node that it enters."""
    log_arc: np.ndarray
    """(n_arcs,) float64: its log probability."""
    log_start: np.ndarray
    """(n_nodes,) float64: log probability of beginning in a node; -inf where no path begins."""
    log_end: np.ndarray
    """(n_nodes,) float64: log probability of ending there."""
    first: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(n_nodes,) int32: first frame at which a path may be in a node; empty: any."""
    last: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(n_nodes,) int32: the last one; empty: any."""
    share: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(n_nodes,) float64: where jumps lead, adds up to 1; empty: any node alike."""

    def __post_init__(self) -> None:
        n = len(self.entry_pdf)
        defaults = {"first": np.zeros(n), "last": np.full(n, 1 << 30),
                    "share": np.full(n, 1 / max(n, 1))}
        for name, value in defaults.items():
            if not len(getattr(self, name)):
                object.__setattr__(self, name, value)
        for name in ("entry_pdf", "loop_pdf", "source", "target", "first", "last"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.int32))
        for name in ("log_arc", "log_start", "log_end", "share"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float64))
        if not n or any(len(getattr(self, name)) != n for name in (
                "loop_pdf", "log_start", "log_end", "first", "last", "share")):
            raise OptionError(f"a graph of {n} nodes needs arrays of as many, and at least one")
        if not len(self.source) == len(self.target) == len(self.log_arc):
            raise OptionError("source, target and log_arc must be of one length")
        if len(self.source) and not (
            0 <= min(self.source.min(), self.target.min())
            and max(self.source.max(), self.target.max()) < n
        ):
            raise OptionError(f"arcs must join nodes 0..{n - 1}")
        if min(self.entry_pdf.min(), self.loop_pdf.min()) < 0:
            raise OptionError("a pdf below 0")

    @property
    def n_nodes(self) -> int:
        return len(self.entry_pdf)

    def check(self, scores: np.ndarray) -> np.ndarray:
        """Return scores, (n_frames, n_pdfs) float32; OptionError where the graph lacks a pdf."""
        scores = np.ascontiguousarray(scores, np.float32)
        needed = 1 + int(max(self.entry_pdf.max(), self.loop_pdf.max()))
        if scores.ndim != 2 or not len(scores) or scores.shape[1] < needed:
            raise OptionError(f"scores must be (n_frames, at least {needed}) of one frame or more, "
                              f"got {scores.shape}")
        return scores


class PathSum(NamedTuple):
    """The sum over all paths of a graph."""

    log_sum: float
    """Natural log of the sum of the paths' probabilities; -inf: there is no path."""
    posteriors: np.ndarray
    """(n_frames, n_pdfs) float32: share of the paths with a pdf at a frame; zeros without a path.
    It is the gradient of `log_sum` with respect to the scores."""


def numerator(scores: np.ndarray, graph: ChainGraph) -> PathSum:
    """Sum over the paths of a small graph, each node within its window of frames.

    `scores` (n_frames, n_pdfs) are the network's outputs, natural logarithms.

    Examples
    --------
    One node, two frames: the first enters it, the second stays.

    >>> zero, none = np.zeros(1), np.zeros(0)
    >>> one = ChainGraph(np.array([0]), np.array([1]), none, none, none, zero, zero)
    >>> found = numerator(np.log([[0.5, 0.1], [0.2, 0.25]]), one)
    >>> float(np.exp(found.log_sum).round(6)), found.posteriors.tolist()
    (0.125, [[1.0, 0.0], [0.0, 1.0]])
    """
    scores = graph.check(scores)
    found, log_sum = _kernels.windowed(
        scores, graph.entry_pdf, graph.loop_pdf, graph.source, graph.target, graph.log_arc,
        graph.log_start, graph.log_end, graph.first, graph.last)
    return PathSum(float(log_sum), found)


def denominator(scores: np.ndarray, graph: ChainGraph, leak: float = LEAK) -> PathSum:
    """Sum over the paths of a large graph, with jumps of weight `leak`: a leaky HMM.

    Between two frames a path may jump from any node to node n, with probability ``leak *
    graph.share[n]``. So no sequence of phones is impossible. Windows of the graph do not count.
    Scores of a frame that are 700 below its highest count as impossible.

    Raises OptionError for a leak below 0.
    """
    if not leak >= 0:
        raise OptionError(f"leak must be at least 0, got {leak}")
    scores = graph.check(scores)
    found, log_sum = _kernels.leaky(
        scores, graph.entry_pdf, graph.loop_pdf, graph.source, graph.target,
        np.exp(graph.log_arc), np.exp(graph.log_start), np.exp(graph.log_end), graph.share,
        float(leak))
    return PathSum(float(log_sum), found)


class Mmi(NamedTuple):
    """The objective of an utterance and its gradient."""

    objective: float
    """Log numerator less log denominator, natural; -inf where the numerator has no path."""
    gradient: np.ndarray
    """(n_frames, n_pdfs) float32, with respect to the scores; zeros where there is no path."""


def mmi(scores: np.ndarray, said: ChainGraph, all_phones: ChainGraph, leak: float = LEAK) -> Mmi:
    """Return the objective of an utterance, higher is better, and its gradient.

    Parameters
    ----------
    scores
        (n_frames, n_pdfs): the network's outputs.
    said
        The graph of what was said; see `numerator`.
    all_phones
        The graph of all sequences of phones; see `denominator`.
    """
    above = numerator(scores, said)
    if above.log_sum == -np.inf:
        return Mmi(-np.inf, above.posteriors)
    below = denominator(scores, all_phones, leak)
    return Mmi(above.log_sum - below.log_sum, above.posteriors - below.posteriors)
