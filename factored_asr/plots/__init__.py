"""Plots of an utterance, a lattice, a graph and the reliability of confidences.

Every plot takes the axes to draw on (``ax=None``: a new figure) and returns them. Without
matplotlib (``pip install 'factored-asr[plot]'``) it raises a MissingError.
"""

from factored_asr.plots.axes import new_axes, save
from factored_asr.plots.graph import plot_graph
from factored_asr.plots.lattice import plot_lattice
from factored_asr.plots.reliability import plot_reliability
from factored_asr.plots.utterance import plot_utterance

__all__ = [
    "new_axes", "plot_graph", "plot_lattice", "plot_reliability", "plot_utterance", "save",
]  # fmt: skip
