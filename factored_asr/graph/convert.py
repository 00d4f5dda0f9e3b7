"""Acceptors, such as G of a grammar, as graphs, and back."""

from __future__ import annotations

from factored_asr.graph.graph import Graph
from factored_asr.language.acceptor import Acceptor


def graph_of(acceptor: Acceptor) -> Graph:
    """Return an acceptor as a graph, whose words are its labels."""
    return Graph.from_fields(acceptor.fields)


def acceptor_of(graph: Graph) -> Acceptor:
    """Return a graph whose words are its labels as an acceptor."""
    return Acceptor(*graph.fields)
