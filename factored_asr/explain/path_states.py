"""The states of a lattice's path, which the lattice does not keep.

A lattice knows the times of each phone. Within these times the HMM has one best path, which is that
of the search: see `acoustic.alignment`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from factored_asr.acoustic.alignment import align_spans
from factored_asr.acoustic.model import AcousticModel
from factored_asr.acoustic.topology import N_POSITIONS, SINGLE, word_symbols
from factored_asr.lattice import Lattice

Span = tuple[int, int, int]
"""HMM, first frame, frame after the last."""
Scores = Callable[[np.ndarray], Iterable[np.ndarray]]
"""Ascending pdfs to scaled log-likelihoods of a whole sound, block by block, a column a pdf."""
Costs = tuple[float, float]
"""Of the sound and of the transitions."""


class PathStates:
    """Acoustic and transition costs of paths, by the states that fit best.

    Parameters
    ----------
    scale
        Weight of the transitions.
    score
        Of the whole sound.
    """

    def __init__(self, model: AcousticModel, scale: float, score: Scores):
        self.model, self.scale, self.score = model, scale, score

    def costs(self, lattice: Lattice, paths: Sequence[Sequence[int]]) -> list[Costs]:
        """The costs of each of these paths (arcs in order)."""
        spans = [list(self._spans(lattice, arcs)) for arcs in paths]
        known = self._aligned({span for path in spans for span in path})
        return [
            (sum(known[span][0] for span in path), sum(known[span][1] for span in path))
            for path in spans
        ]

    def _spans(self, lattice: Lattice, arcs: Sequence[int]) -> Iterator[Span]:
        """The phones of a path as HMMs in their contexts, with their times."""
        symbols, ends = list[int](), list[int]()
        for arc in arcs:
            names = lattice.pronunciations[lattice.arc_pronunciation[arc]]
            phones = [self.model.phones.index(phone) for phone in names]
            is_word = bool(lattice.arc_word[arc])
            symbols += word_symbols(phones) if is_word else [
                phone * N_POSITIONS + SINGLE for phone in phones
            ]
            ends += lattice.arc_phone_ends(arc).tolist()
        units = self.model.topology.units_of(symbols)
        return zip(units.tolist(), [0, *ends[:-1]], ends, strict=True)

    def _aligned(self, spans: set[Span]) -> dict[Span, Costs]:
        if not spans:
            return {}
        topology, known = self.model.topology, sorted(spans)
        units, start, stop = np.array(known).T
        pdfs = np.unique([topology.entry_pdf[units], topology.loop_pdf[units]])
        pdfs = pdfs[pdfs >= 0]
        scores = np.concatenate(list(self.score(pdfs)))
        found = align_spans(topology, units, start, stop, scores, pdfs, self.scale)
        sound = found.transitions - found.log_likelihood
        costs = zip(sound.tolist(), (-found.transitions).tolist(), strict=True)
        return dict(zip(known, costs, strict=True))
