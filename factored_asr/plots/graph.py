"""A small transducer: G, L, what they compose to, a whole decoding graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.graph import Graph
from factored_asr.graph.layout import placed
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ARCS = 300


def plot_graph(
    graph: Graph, *, labels: Sequence[str] | Callable[[int], str] | None = None,
    ax: Axes | None = None, down: bool = False,
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
    down
        True: states from top to bottom, for narrow pages. Default: False.

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
    place = placed(graph)
    if down:
        place = np.stack([1.6 * place[:, 1], -place[:, 0]], axis=1)
    low, high = place.min(axis=0), place.max(axis=0)
    ax = ax or new_axes(*(1.3 * (high - low) + 3.0).tolist())
    boxes = [_Box(x, y, 0.34, 0.34) for x, y in place]
    between: Counter[tuple[int, int]] = Counter()
    rows = zip(graph.sources.tolist(), graph.arcs.tolist(), strict=True)
    for source, (label, word, cost, target) in rows:
        text = f"{name(label)}:{graph.words[word]}" if word else name(label)
        text += f"/{cost:.1f}" if abs(cost) >= 0.05 else ""
        rank, ends = between[source, target], (place[source], place[target])
        boxes.append(_draw_loop(ax, ends[0], text, rank, down) if source == target
                     else _draw_arc(ax, *ends, text, rank, down, boxes))  # fmt: skip
        between[source, target] += 1
    for state, (x, y) in enumerate(place):
        ax.plot(x, y, "o", markersize=17, color="white", markeredgecolor="#1f5fa8",
                markeredgewidth=2.4 if state == graph.start else 1.0, zorder=3)
        if np.isfinite(graph.final[state]):
            ax.plot(x, y, "o", markersize=12, color="white", markeredgecolor="#1f5fa8", zorder=4)
        ax.text(x, y, str(state), ha="center", va="center", fontsize=7, zorder=5)
    spans = np.array([(box.x - box.width / 2, box.x + box.width / 2, box.y - box.height / 2,
                       box.y + box.height / 2) for box in boxes])  # fmt: skip
    ax.set(xlim=(spans[:, 0].min() - 0.2, spans[:, 1].max() + 0.2),
           ylim=(spans[:, 2].min() - 0.2, spans[:, 3].max() + 0.2))  # fmt: skip
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


class _Box(NamedTuple):
    """The place that a state or a label takes, in units of the axes."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: _Box) -> float:
        """Return the area that both take."""
        wide = (self.width + other.width) / 2 - abs(self.x - other.x)
        high = (self.height + other.height) / 2 - abs(self.y - other.y)
        return wide * high if wide > 0 and high > 0 else 0.0


LETTER, LINE = 0.066, 0.15
"""Width of a letter and height of a line, in units of the axes: a unit is about an inch."""


def _draw_loop(ax: Axes, place: np.ndarray, text: str, rank: int, down: bool) -> _Box:
    """Draw a loop above its state, or to its right; further ones only add their text."""
    width = LETTER * len(text)
    if down:
        ends = place + (0.12, 0.1), place + (0.12, -0.1)
        box = _Box(place[0] + 0.46 + width / 2, place[1] - 0.17 * rank, width, LINE)
    else:
        ends = place - (0.1, -0.12), place + (0.1, 0.12)
        box = _Box(place[0], place[1] + 0.55 + 0.17 * rank, width, LINE)
    if rank == 0:
        _draw_arrow(ax, *ends, bend=-1.9, shrink=0)
    _draw_text(ax, box, text, 0.0)
    return box


def _draw_arc(
    ax: Axes, start: np.ndarray, end: np.ndarray, text: str, rank: int, down: bool,
    boxes: Sequence[_Box],
) -> _Box:
    """Draw an arrow with its text; bent if it leads back or far or is not the first there."""
    along = end - start
    depth, across = (-along[1], along[0]) if down else along
    bend = (0.25 if depth < 0 or (depth > 1 and not across) else 0.0) + 0.3 * rank
    _draw_arrow(ax, start, end, bend=bend, shrink=10)
    # The control point of matplotlib's quadratic curve lies aside by `bend`.
    control = (start + end) / 2 + bend * np.array([along[1], -along[0]])
    angle = 0.0 if down else (np.degrees(np.arctan2(along[1], along[0])) + 90) % 180 - 90
    turned, width = np.radians(angle), LETTER * len(text)
    size = (width * abs(np.cos(turned)) + LINE * abs(np.sin(turned)),
            width * abs(np.sin(turned)) + LINE * abs(np.cos(turned)))
    places = [(1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
              for t in (0.5, 0.4, 0.6, 0.3, 0.7)]
    candidates = [_Box(float(x), float(y), *size) for x, y in places]
    box = min(candidates, key=lambda each: sum(each.overlap(other) for other in boxes))
    _draw_text(ax, box, text, float(angle))
    return box


def _draw_arrow(ax: Axes, start: np.ndarray, end: np.ndarray, *, bend: float, shrink: int) -> None:
    """Draw a curved arrow."""
    from matplotlib.patches import FancyArrowPatch

    ax.add_patch(FancyArrowPatch(
        tuple(start), tuple(end), connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>",
        mutation_scale=9, color="#999999", linewidth=0.9, zorder=1, shrinkA=shrink, shrinkB=shrink,
    ))  # fmt: skip


def _draw_text(ax: Axes, box: _Box, text: str, angle: float) -> None:
    """Write the text of an arc."""
    ax.text(box.x, box.y, text, ha="center", va="center", fontsize=8, zorder=2, rotation=angle,
            rotation_mode="anchor", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
