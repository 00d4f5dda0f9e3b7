"""The best HMM states of phones whose times are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from factored_asr.acoustic import _kernels
from factored_asr.acoustic.topology import Topology, scaled


class SpanStates(NamedTuple):
    """The states of some units, each over a span of frames."""

    pdfs: np.ndarray
    """int32: the pdf of each frame of each span, span by span."""
    log_likelihood: np.ndarray
    """(n_spans,) float64: of scores and transitions; -inf where a span is too short."""
    transitions: np.ndarray
    """(n_spans,) float64: the part of the log-likelihood that is from transitions."""


def align_spans(
    topology: Topology, units: np.ndarray, start: np.ndarray, stop: np.ndarray, scores: np.ndarray,
    pdfs: np.ndarray, transition_scale: float = 1.0,
) -> SpanStates:
    """Find the best states of units of a topology whose times are known, exactly.

    `start` and `stop` are the first frame of each span and the frame after its last, (n_spans,) as
    `units`. `scores` (n_frames, n_columns) are scaled log-likelihoods; `pdfs`, ascending, names
    the pdf of each column: those of all units must be there.

    Examples
    --------
    >>> pdfs, half = np.array([[0, 1]]), np.log([[0.5, 0.5]])
    >>> topology = Topology(("A",), "", (), [0], pdfs, pdfs, half, half, [0], np.zeros((4, 1, 1)))
    >>> found = align_spans(topology, [0], [0], [3], np.eye(3, 2), [0, 1])
    >>> found.pdfs.tolist(), found.log_likelihood.round(3).tolist()
    ([0, 1, 1], [-0.079])
    """
    units = np.asarray(units, np.int64)
    entry, stay = topology.entry_pdf[units], topology.loop_pdf[units]
    columns = [np.where(each < 0, -1, np.searchsorted(pdfs, each)) for each in (entry, stay)]
    log_probs = [
        -scaled(transition_scale, table[units].astype(np.float64))
        for table in (topology.loop_log_prob, topology.exit_log_prob, topology.skip_log_prob)
    ]
    found, total, moved = _kernels.align_spans(
        np.ascontiguousarray(scores, np.float32), np.asarray(start, np.int64),
        np.asarray(stop, np.int64), *columns, *log_probs,
    )  # fmt: skip
    return SpanStates(np.asarray(pdfs, np.int32)[found], total, moved)
