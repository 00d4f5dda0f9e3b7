"""Composition of the knowledge sources into one decoding graph: H ∘ C ∘ L ∘ G."""

from factored_asr.graph.alignment import build_alignment_graph
from factored_asr.graph.background import (
    BACKGROUND,
    BACKGROUND_VERSION,
    BackgroundOptions,
    build_background,
)
from factored_asr.graph.build import GraphOptions, build_graph
from factored_asr.graph.denials import DENIALS_VERSION, denies
from factored_asr.graph.graph import ARC, Graph
from factored_asr.graph.prefixes import DENIALS
from factored_asr.graph.units import BLANK, make_units

__all__ = [
    "ARC", "BACKGROUND", "BACKGROUND_VERSION", "BLANK", "DENIALS", "DENIALS_VERSION",
    "BackgroundOptions", "Graph", "GraphOptions", "build_alignment_graph", "build_background",
    "build_graph", "denies", "make_units",
]  # fmt: skip
