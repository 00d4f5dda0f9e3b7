"""Plots of each stage: sounds, detections, filters, Gaussians, trees, graphs, lattices, confidence.

Every plot takes the axes to draw on (``ax=None``: a new figure) and returns them. Without
matplotlib (``pip install 'factored-asr[plot]'``) it raises a MissingError.
"""

from factored_asr.plots.axes import new_axes, save
from factored_asr.plots.confusion import plot_confusion
from factored_asr.plots.filterbank import plot_filterbank
from factored_asr.plots.gaussians import plot_gaussians
from factored_asr.plots.graph import plot_graph
from factored_asr.plots.language import language_graph
from factored_asr.plots.lattice import plot_lattice
from factored_asr.plots.reliability import plot_reliability
from factored_asr.plots.timeline import plot_timeline
from factored_asr.plots.tree import plot_tree
from factored_asr.plots.utterance import plot_utterance

__all__ = [
    "language_graph", "new_axes", "plot_confusion", "plot_filterbank", "plot_gaussians",
    "plot_graph", "plot_lattice", "plot_reliability", "plot_timeline", "plot_tree",
    "plot_utterance", "save",
]  # fmt: skip
