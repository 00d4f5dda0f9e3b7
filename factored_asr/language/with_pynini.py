"""The algebra of `acceptor` and of `graph.build` by pynini, which is used where it is installed.

Arcs go to it and come back as the bytes of a ``ConstFst``, several times faster than arc by arc.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.storage.openfst import ARC, Arcs, openfst_parts, parse_openfst

if TYPE_CHECKING:
    import pynini


@cache
def is_installed() -> bool:
    """Return whether pynini is there: it has wheels for Linux on x86-64 only."""
    return find_spec("pynini") is not None


def minimal(acceptor: Arcs) -> Arcs:
    """Return an equal acceptor without epsilons, deterministic and minimal."""
    import pynini
    import pywrapfst

    fst = pynini.rmepsilon(to_pynini(acceptor))
    cyclic = fst.properties(pywrapfst.ACYCLIC, True) != pywrapfst.ACYCLIC
    if cyclic and fst.properties(pywrapfst.UNWEIGHTED, True) != pywrapfst.UNWEIGHTED:
        # Loops of different cost over the same words cannot be determinised: keep each
        # (word, cost) pair a symbol of its own.
        mapper = pywrapfst.EncodeMapper("standard", encode_labels=True, encode_weights=True)
        fst = pynini.determinize(fst.encode(mapper))
        return from_pynini(fst.minimize().decode(mapper))
    return from_pynini(pynini.determinize(fst).minimize())


def subtracted(acceptor: Arcs, other: Arcs) -> Arcs:
    """Return an acceptor without the sentences of another that has no costs."""
    import pynini

    left = to_pynini(acceptor).arcsort("ilabel")
    return from_pynini(pynini.difference(left, pynini.determinize(to_pynini(other))).connect())


def composed(lexicon: Arcs, grammar: Arcs) -> Arcs:
    """Return det(L ∘ G)."""
    import pynini

    fst = to_pynini(grammar).arcsort("ilabel")
    return from_pynini(pynini.determinize(pynini.compose(to_pynini(lexicon), fst).connect()))


def to_pynini(arcs: Arcs) -> pynini.Fst:
    """Convert to pynini's transducers; labels and words are bare numbers."""
    import pynini

    return pynini.Fst.read_from_string(b"".join(openfst_parts(arcs)))


def from_pynini(fst: pynini.Fst) -> Arcs:
    """Convert a transducer of pynini's; one without states gets a start."""
    import pywrapfst

    if not fst.num_states():
        return Arcs(0, np.zeros(2, np.int64), np.zeros(0, ARC), np.full(1, np.inf, np.float32))
    return parse_openfst(pywrapfst.convert(fst, "const").write_to_string(), Path("<bytes>"))
