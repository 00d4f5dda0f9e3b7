"""Graphs to pynini and back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from factored_asr.graph.graph import Graph

if TYPE_CHECKING:
    import pynini


def to_pynini(graph: Graph) -> pynini.Fst:
    """Convert a graph to pynini's (labels and words as bare numbers)."""
    import pynini

    try:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/graph.fst"
            graph.write_openfst(path)
            return pynini.Fst.read(path)
    except OSError:  # no room for temporary files: through memory
        return pynini.Fst.read_from_string(graph.to_openfst())


def from_pynini(fst: pynini.Fst) -> Graph:
    """Convert a transducer of pynini's."""
    import pywrapfst

    constant = pywrapfst.convert(fst, "const")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.fst"
            constant.write(str(path))
            return Graph.read(path)
    except OSError:  # no room for temporary files: through memory
        return Graph.from_openfst(constant.write_to_string())
