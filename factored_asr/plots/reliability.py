"""Reliability of confidences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice import reliability
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(
    pairs: Iterable[tuple[float, bool]], *, n_bins: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw the share of correct words against their confidence.

    OptionError: no pairs, or a confidence that is no probability.

    Parameters
    ----------
    pairs
        Confidence (a probability) and whether the word was correct.
    n_bins
        Number of confidence intervals of equal width, default 10. A point is at the mean of its
        words, its bar is the standard error, its area the number of words.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> ax = plot_reliability([(0.9, True), (0.8, True), (0.3, False), (0.2, True)])
    >>> ax.get_title()
    '4 words, 75.0 % right, mean confidence 55.0 %'
    """
    table = np.array(list(pairs), dtype=np.float64).reshape(-1, 2)
    if not len(table):
        raise OptionError("a reliability diagram needs at least one pair")
    confidence, right = table.T
    bins = reliability(confidence, right, n_bins=n_bins)
    mean, share, count = bins.confidence, bins.accuracy, bins.count
    ax = ax or new_axes(width=5.0, height=5.0)
    error = np.sqrt(share * (1 - share) / count)
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--", label="as it should be")
    ax.errorbar(mean, share, error, color="#1f5fa8", linewidth=1, capsize=2)
    ax.scatter(mean, share, 15 + 200 * count / count.max(), color="#1f5fa8", label="words")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), xlabel="confidence", ylabel="share right")
    ax.set_aspect("equal")
    ax.set_title(
        f"{len(table)} words, {100 * right.mean():.1f} % right, "
        f"mean confidence {100 * confidence.mean():.1f} %", fontsize=10,
    )
    ax.legend(loc="upper left", frameon=False)
    return ax
