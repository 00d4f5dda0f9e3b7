"""A confusion network: the words of a result with their competitors, slot by slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factored_asr.errors import OptionError
from factored_asr.lattice import ConfusionNetwork
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 0.005
"""Gaps in which something is at most as probable as this are left out."""


def plot_confusion(
    network: ConfusionNetwork, *, n_words: int = 5, ax: Axes | None = None
) -> Axes:
    """Draw the slots of a confusion network from left to right, each a column of words.

    Bars are posteriors of words, "–" is no word. Gaps that hold nothing else are left out.
    OptionError: the network has no slot.

    Parameters
    ----------
    network
        Of `factored_asr.lattice.confusion_network`.
    n_words
        Words of a slot at most, default 5: the most probable.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> from factored_asr.lattice import confusion_network
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-2\\n"
    >>> ax = plot_confusion(confusion_network(read_slf_text(text)))
    >>> [text.get_text() for text in ax.texts]
    ['yes 0.50', 'no 0.50']
    """
    shown = [slot for slot in network.slots if slot.word or slot.alternatives[0][1] < 1 - LEAST]
    if not shown:
        raise OptionError("a confusion network without a word cannot be drawn")
    rows = [[each for each in slot.alternatives if each[1] >= LEAST][:n_words] for slot in shown]
    height = max(map(len, rows))
    ax = ax or new_axes(width=max(5.0, 1.35 * len(shown)), height=0.55 * height + 0.9)
    for column, (slot, row) in enumerate(zip(shown, rows, strict=True)):
        for rank, (word, probability) in enumerate(row):
            colour = "#1f5fa8" if word == slot.word else "#b06a2c"
            ax.barh(-rank, 0.9 * probability, left=column + 0.05, height=0.75, color=colour,
                    alpha=0.3)
            ax.text(column + 0.08, -rank, f"{word or '–'} {probability:.2f}", va="center",
                    fontsize=9, color=colour, clip_on=True)
        ax.axvline(column, color="#d9dee7", linewidth=0.8)
    ax.set(xlim=(0, len(shown)), ylim=(0.5 - height, 0.5),
           title=f"expected word errors: {network.risk:.2f}")
    ax.set_yticks([])
    ax.set_xticks([])
    return ax
