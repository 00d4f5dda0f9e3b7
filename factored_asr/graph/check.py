"""What must hold of a graph that comes from a file: the search trusts it from then on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.graph._kernels import first_broken_state

if TYPE_CHECKING:
    from factored_asr.graph.graph import Graph

MAX_LABEL = 1 << 21
"""Tables by label and word stay small, whatever a foreign file claims."""


def check_graph(graph: Graph, path: str | Path, *, arcs: bool = True) -> None:
    """Hold a graph against its laws.

    Parameters
    ----------
    arcs
        Whether each arc is looked at: half a second for 20 million, most of it to read them in.

    Raises
    ------
    FormatError
        An arc leads outside the graph, has a label or word that is none, or a cost of -inf or NaN;
        the arcs of a state do not begin with those without a label; tables of labels do not fit.
    """
    _check_shapes(graph, path)
    n_words = len(graph.words) if len(graph.words) > 1 else MAX_LABEL
    state = first_broken_state(
        graph.first_arc, graph.first_emitting, graph.arcs, graph.final, graph.n_labels, n_words
    ) if arcs else -1
    if state >= 0:
        raise FormatError(
            f"an arc or the final cost of state {state} is broken: targets must lie below "
            f"{graph.n_states}, labels up to {graph.n_labels}, words below {n_words}, costs must "
            "be above -inf, arcs without a label come first", path,
        )  # fmt: skip
    _check_labels(graph, path)


def _check_shapes(graph: Graph, path: str | Path) -> None:
    flat = all(
        array.ndim == 1
        for array in (graph.first_arc, graph.first_emitting, graph.arcs, graph.final)
    )
    if not flat or len(graph.first_emitting) != graph.n_states:
        raise FormatError("arrays of arcs and states do not fit each other", path)
    if not isinstance(graph.frame_seconds, float | int | None) or (
        graph.frame_seconds is not None and not 0 < graph.frame_seconds < np.inf
    ):
        raise FormatError(f"frames of {graph.frame_seconds!r} seconds, must be above 0", path)


def _check_labels(graph: Graph, path: str | Path) -> None:
    """The tables by label are of one length and point at what is there."""
    n = len(graph.label_pdf)
    known = (graph.label_phone, graph.label_state, graph.label_word_end)
    sizes = {len(table) for table in known}
    if any(table.ndim != 1 for table in (graph.label_pdf, *known)) or sizes not in ({n}, {0}):
        raise FormatError(f"tables by label must have {n} entries each", path)
    for name, table, least, limit in (
        ("pdf", graph.label_pdf, -1, MAX_LABEL), ("phone", graph.label_phone, 0, len(graph.phones)),
        ("state", graph.label_state, 0, MAX_LABEL),
    ):
        if len(table) and not least <= table.min() <= table.max() < limit:
            raise FormatError(f"the {name} of a label lies outside [{least}, {limit})", path)
    if n and graph.label_pdf[1:].min(initial=0) < 0:
        raise FormatError("a label without a pdf", path)
    if not all(isinstance(phone, str) for phone in (*graph.phones, *graph.silence_phones)):
        raise FormatError("names of phones must be texts", path)
