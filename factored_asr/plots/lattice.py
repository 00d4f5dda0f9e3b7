"""A lattice: competing words over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice import Lattice, arc_posteriors, best_path
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_lattice(lattice: Lattice, *, n_words: int = 150, ax: Axes | None = None) -> Axes:
    """Draw the words of a lattice over time, each as high on the page as it is probable.

    Arcs of a word whose times overlap make one bar, from the mean start to the mean end, with the
    sum of their posteriors (not determinised, not calibrated). Lines join neighbouring words of
    the best path. OptionError: the lattice has no path.

    Parameters
    ----------
    lattice
        Of a recogniser, a search or a file.
    n_words
        Number of bars at most, default 150: the most probable.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6.5 l=-2\\n"
    >>> plot_lattice(read_slf_text(text)).get_ylabel()
    'posterior'
    """
    best = best_path(lattice)
    if best is None:
        raise OptionError("a lattice without a path cannot be drawn")
    bars = sorted(_bars(lattice), key=lambda bar: -bar.posterior)[:n_words]
    seconds = lattice.n_frames * (lattice.frame_seconds or 1.0)
    ax = ax or new_axes(width=max(8.0, min(40.0, 3.0 * seconds)), height=6.0)
    best_arcs = set(best.arcs)
    for bar in bars:
        colour = "#1f5fa8" if best_arcs & bar.arcs else "#b06a2c"
        ax.plot([bar.start, bar.end], [bar.posterior] * 2, color=colour, linewidth=2, alpha=0.8,
                solid_capstyle="butt")
        ax.text(0.5 * (bar.start + bar.end), bar.posterior * 1.04, bar.text, fontsize=8,
                ha="center", va="bottom", color=colour, clip_on=True)
    path = sorted((bar for bar in bars if best_arcs & bar.arcs), key=lambda bar: bar.start)
    for one, other in pairwise(path):
        ax.plot([one.end, other.start], [one.posterior, other.posterior], color="#1f5fa8",
                linewidth=0.6, alpha=0.6)
    lowest = min(bar.posterior for bar in bars) if bars else 0.1
    ax.set(yscale="log", ylim=(max(lowest, 1e-3) * 0.8, 1.4), xlim=(0, seconds))
    ticks = [t for t in (0.001, 0.01, 0.03, 0.1, 0.3, 1.0) if t >= 0.8 * lowest]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    ax.set_yticks([], minor=True)
    ax.set(xlabel="time (s)" if lattice.frame_seconds else "time (frames)", ylabel="posterior")
    return ax


@dataclass(frozen=True)
class _Bar:
    text: str
    start: float
    end: float
    posterior: float
    arcs: frozenset[int]


def _bars(lattice: Lattice) -> Iterator[_Bar]:
    """Yield arcs of one word that overlap in time as one, with the sum of their posteriors."""
    posterior = arc_posteriors(lattice).arc
    seconds = lattice.frame_seconds or 1.0
    starts = lattice.node_frame[lattice.arc_source]
    ends = lattice.node_frame[lattice.arc_target]
    for word in np.unique(lattice.arc_word[lattice.arc_word > 0]).tolist():
        waiting = np.flatnonzero((lattice.arc_word == word) & (posterior > 1e-6))
        waiting = waiting[np.argsort(-posterior[waiting])]
        while len(waiting):
            middle = 0.5 * (starts[waiting[0]] + ends[waiting[0]])
            same = (starts[waiting] <= middle) & (ends[waiting] >= middle)
            arcs, waiting = waiting[same], waiting[~same]
            weight = posterior[arcs]
            start, end = (seconds * float(np.average(frames[arcs], weights=weight))
                          for frames in (starts, ends))
            share = min(float(weight.sum()), 1.0)
            yield _Bar(lattice.spelt(word), start, end, share, frozenset(arcs.tolist()))
