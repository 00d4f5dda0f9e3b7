"""The states of a lattice's path, which the lattice does not keep: found again phone by phone.

A lattice knows when each phone of a path begins and ends. Within these times its HMM has one best
way, which is the way the search went: a Viterbi alignment of some ten frames to three states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

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
        topology = self.model.topology
        n_states = topology.n_states
        pdfs = {  # of entering each state of a unit, then of staying in it
            unit: np.stack([topology.entry_pdf[unit], topology.loop_pdf[unit]])[:, : n_states[unit]]
            for unit, _, _ in spans
        }
        rows: dict[Span, list[np.ndarray]] = {span: [] for span in spans}
        at = 0
        needed = np.unique(np.concatenate([np.zeros(0, int), *(p.ravel() for p in pdfs.values())]))
        for scores in self.score(needed):
            for (unit, start, end), parts in rows.items():
                if start < at + len(scores) and at < end:
                    columns = np.searchsorted(needed, pdfs[unit])
                    parts.append(scores[max(start - at, 0) : end - at][:, columns])
            at += len(scores)
        leave = -self.scale * topology.exit_log_prob
        stay = -self.scale * topology.loop_log_prob
        return {
            span: _align(-np.concatenate(parts), leave[span[0]].tolist(), stay[span[0]].tolist())
            for span, parts in rows.items()
        }


def _align(acoustic: np.ndarray, leave: Sequence[float], stay: Sequence[float]) -> Costs:
    """The cheapest path through all states in their order.

    `acoustic` is (n_frames, 2, n_states): costs of entering a state in a frame, and of staying.
    """
    inf = float("inf")
    # (total, acoustic, transitions) in each state; a state's exit is paid on entering it.
    best: list[tuple[float, float, float]] = [(inf, inf, inf)] * acoustic.shape[2]
    for frame, (entries, loops) in enumerate(acoustic.tolist()):
        after = []
        for state, (entry, loop) in enumerate(zip(entries, loops, strict=True)):
            before = best[state - 1] if state else (0.0, 0.0, 0.0) if frame == 0 else (inf,) * 3
            entered = before[0] + leave[state] + entry
            stayed = best[state][0] + stay[state] + loop
            if entered <= stayed:
                after.append((entered, before[1] + entry, before[2] + leave[state]))
            else:
                after.append((stayed, best[state][1] + loop, best[state][2] + stay[state]))
        best = after
    return best[-1][1:]
