"""A small transducer: G, L, what they compose to, a whole decoding graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.graph import Graph
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ARCS = 300


def plot_graph(
    graph: Graph, *, labels: Sequence[str] | Callable[[int], str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a small transducer: states from left to right, arcs with label : word / cost.

    The start is a bold ring, final states are double rings. OptionError: more than MAX_ARCS arcs.

    Parameters
    ----------
    graph
        A decoding graph, or a part of one: G, L, C ∘ L ∘ G …
    labels
        Label → its name, as a sequence or a function; None (default): phone and state of a decoding
        graph's label, the number of others.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> from factored_asr.graph import ARC
    >>> arcs = np.array([(1, 1, 0.7, 1), (2, 2, 0.7, 1)], ARC)
    >>> graph = Graph.from_arcs(np.zeros(2, int), arcs, np.array([np.inf, 0], np.float32))
    >>> ax = plot_graph(graph.with_words(["<eps>", "yes", "no"]), labels=["", "Y", "N"])
    >>> [text.get_text() for text in ax.texts]
    ['Y:yes/0.7', 'N:no/0.7', '0', '1']
    """
    if graph.n_arcs > MAX_ARCS:
        raise OptionError(f"a graph of {graph.n_arcs:,} arcs is no picture: at most {MAX_ARCS}")
    name = _label_names(graph, labels)
    place = _placed(graph)
    ax = ax or new_axes(width=3.0 + 1.3 * float(place[:, 0].max()),
                        height=2.0 + 1.3 * float(np.ptp(place[:, 1])))
    between: Counter[tuple[int, int]] = Counter()
    rows = zip(graph.sources.tolist(), graph.arcs.tolist(), strict=True)
    for source, (label, word, cost, target) in rows:
        text = f"{name(label)}:{graph.words[word]}" if word else name(label)
        text += f"/{cost:.1f}" if abs(cost) >= 0.05 else ""
        _draw_arc(ax, place[source], place[target], text, between[source, target])
        between[source, target] += 1
    for state, (x, y) in enumerate(place):
        ax.plot(x, y, "o", markersize=17, color="white", markeredgecolor="#1f5fa8",
                markeredgewidth=2.4 if state == graph.start else 1.0, zorder=3)
        if np.isfinite(graph.final[state]):
            ax.plot(x, y, "o", markersize=12, color="white", markeredgecolor="#1f5fa8", zorder=4)
        ax.text(x, y, str(state), ha="center", va="center", fontsize=7, zorder=5)
    low, high = place.min(axis=0), place.max(axis=0)
    bent = 0.3 * max((place[s, 0] - place[t, 0] for s, t in between if place[s, 0] > place[t, 0]),
                     default=0.0)
    ax.set(xlim=(low[0] - 0.6, high[0] + 0.6), ylim=(low[1] - 0.5, high[1] + 0.9 + 0.5 * bent))
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _label_names(
    graph: Graph, labels: Sequence[str] | Callable[[int], str] | None
) -> Callable[[int], str]:
    """Return the function from label to name; epsilon is ε."""
    def of_state(label: int) -> str:
        return f"{graph.phones[graph.label_phone[label]]}{graph.label_state[label] + 1}"

    named: Callable[[int], str] = of_state if graph.has_phones else str
    if labels is not None:
        named = labels if callable(labels) else labels.__getitem__
    return lambda label: named(label) if label else "ε"


def _placed(graph: Graph) -> np.ndarray:
    """Return (n_states, 2): length of the longest path from the start without cycles; and the place
    in its column, near the mean of the states before it."""
    targets = [graph.arcs["target"][first:last].tolist()
               for first, last in pairwise(graph.first_arc.tolist())]
    finished: list[int] = []  # by depth-first search: before their predecessors
    begun: set[int] = set()

    def visit(state: int) -> None:
        begun.add(state)
        for target in targets[state]:
            if target not in begun:
                visit(target)
        finished.append(state)

    visit(graph.start)
    rank_of = {state: rank for rank, state in enumerate(reversed(finished))}
    column = np.zeros(graph.n_states, int)
    for state in rank_of:
        for target in targets[state]:
            if rank_of[target] > rank_of[state]:  # an arc that leads back closes a cycle
                column[target] = max(column[target], column[state] + 1)
    place = np.zeros((graph.n_states, 2))
    place[:, 0] = column
    for depth in range(1, int(column.max()) + 1):
        states = np.flatnonzero(column == depth)
        before = [place[graph.sources[graph.arcs["target"] == s], 1].mean() for s in states]
        for rank, k in enumerate(np.argsort(-np.array(before), kind="stable")):
            place[states[k], 1] = (len(states) - 1) / 2 - rank
    return place


def _draw_arc(ax: Axes, start: np.ndarray, end: np.ndarray, text: str, rank: int) -> None:
    """Draw an arrow with its text; bent if it leads back or far or is not the first there."""
    from matplotlib.patches import FancyArrowPatch

    along = end - start
    if not along.any():  # a loop: further ones only add their text
        high = np.array([0.0, 0.55 + 0.17 * rank])
        ends, bend, middle = (start - (0.1, -0.12), start + (0.1, 0.12)), -1.9, start + high
    else:
        far = abs(along[0]) > 1 and not along[1]
        bend = (0.25 if far or along[0] < 0 else 0.0) + 0.3 * rank
        ends = start, end
        # Where matplotlib's quadratic curve is half way: its control point lies aside by `bend`.
        middle = (start + end) / 2 + 0.5 * bend * np.array([along[1], -along[0]])
    if rank == 0 or along.any():
        ax.add_patch(FancyArrowPatch(
            *map(tuple, ends), connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>",
            mutation_scale=9, color="#999999", linewidth=0.9, zorder=1,
            shrinkA=10 if along.any() else 0, shrinkB=10 if along.any() else 0,
        ))  # fmt: skip
    angle = np.degrees(np.arctan2(along[1], along[0])) if along.any() else 0.0
    ax.text(float(middle[0]), float(middle[1]), text, ha="center", va="center", fontsize=8,
            zorder=2, rotation=(angle + 90) % 180 - 90, rotation_mode="anchor",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
