"""The decision tree of a state of a phone: which pdf it has between which neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factored_asr.acoustic.gmm.tree import LEAF, DecisionTree
from factored_asr.errors import OptionError
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMES = 6  # of phones in a question


def plot_tree(
    tree: DecisionTree, phone: str, state: int = 0, *, depth: int = 4, ax: Axes | None = None
) -> Axes:
    """Draw the decision tree of one state of a phone, from left to right; yes leads upwards.

    Parameters
    ----------
    tree
        Of a model of triphones that was trained here, ``model.tree``.
    phone, state
        Which; states are numbered from 0.
    depth
        Questions in a row that are drawn at most, default 4; a box with "…" stands for more.
    ax
        Where to draw; None (default): a new figure.

    Raises
    ------
    OptionError
        The tree has no such phone or state, or the depth is below 1.

    Examples
    --------
    >>> tree = DecisionTree(
    ...     phones=("AH", "N"), roots=[[0], [3]], asks=[0, -1, -1, -1],
    ...     members=[[0, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4],
    ...     branches=[[1, 2], [-1, -1], [-1, -1], [-1, -1]], leaf_pdf=[-1, 0, 1, 2],
    ...     frames=[90, 50, 40, 70], gain=[123, 0, 0, 0])
    >>> [text.get_text() for text in plot_tree(tree, "AH").texts][:2]
    ['left: N?', 'pdf 1\\n40 frames']
    """
    if phone not in tree.phones:
        raise OptionError(f"the tree has no phone {phone!r}: it has {' '.join(tree.phones)}")
    if depth < 1:
        raise OptionError(f"depth must be at least 1, got {depth}")
    roots = tree.roots[tree.phones.index(phone)]
    if not (0 <= state < len(roots) and roots[state] >= 0):
        raise OptionError(f"{phone} has the states 0 to {int((roots >= 0).sum()) - 1}, got {state}")
    places: dict[int, tuple[float, float]] = {}
    leaves = [0]

    def place(node: int, level: int) -> float:
        if tree.asks[node] == LEAF or level == depth:
            height = float(leaves[0])
            leaves[0] += 1
        else:
            below, above = (place(int(each), level + 1) for each in tree.branches[node])
            height = (below + above) / 2
        places[node] = (float(level), height)
        return height

    place(int(roots[state]), 0)
    levels = 1 + max(level for level, _ in places.values())
    ax = ax or new_axes(width=2.5 * levels + 0.5, height=max(2.0, 0.55 * leaves[0] + 0.8))
    _draw(ax, tree, int(roots[state]), places)
    ax.set(xlim=(-0.5, levels - 0.5), ylim=(-0.7, leaves[0] - 0.3),
           title=f"{phone}, state {state}: {tree.frames[roots[state]]:,.0f} frames")
    ax.axis("off")
    return ax


def _draw(ax: Axes, tree: DecisionTree, node: int, places: dict[int, tuple[float, float]]) -> None:
    """Draw a node, then what lies behind "yes" and "no"."""
    x, y = places[node]
    is_leaf, cut = tree.asks[node] == LEAF, int(tree.branches[node][0]) not in places
    if is_leaf:
        text = f"pdf {tree.leaf_pdf[node]}\n{tree.frames[node]:,.0f} frames"
    else:
        text = _question(tree, node) + ("\n…" if cut else "")
    ax.text(x, y, text, ha="center", va="center", fontsize=8, zorder=3, bbox={
        "boxstyle": "round,pad=0.3", "edgecolor": "#1f5fa8",
        "facecolor": "#e4ecf5" if is_leaf else "white"})
    if is_leaf or cut:
        return
    for answer, child in (("yes", tree.branches[node][1]), ("no", tree.branches[node][0])):
        to = places[int(child)]
        ax.plot([x, to[0]], [y, to[1]], color="#999999", linewidth=1, zorder=1)
        _draw(ax, tree, int(child), places)
        ax.text(x + 0.5 * (to[0] - x), y + 0.5 * (to[1] - y), answer, fontsize=7, zorder=2,
                ha="center", va="center", color="#566174",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})


def _question(tree: DecisionTree, node: int) -> str:
    asked, names = tree.question(node)
    lines = [" ".join(names[k : k + 3]) for k in range(0, min(len(names), MOST_NAMES), 3)]
    if len(names) > MOST_NAMES:
        lines[-1] += f" +{len(names) - MOST_NAMES}"
    return f"{asked}: " + "\n".join(lines) + "?"
