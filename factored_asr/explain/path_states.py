"""The states of a lattice's path, which the lattice does not keep: found again phone by phone.

A lattice knows when each phone of a path begins and ends. Within these times its HMM has one best
way, which is the way the search went: a Viterbi alignment of some ten frames to three states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE, GmmModel
from factored_asr.lattice import Lattice

Span = tuple[int, int, int]
"""HMM, first frame, frame after the last."""
Scores = Callable[[np.ndarray], Iterable[np.ndarray]]
"""Scaled log-likelihoods of a whole sound, block by block, with at least these pdfs' columns."""
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

    def __init__(self, model: GmmModel, scale: float, score: Scores):
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
        phones, positions, ends = list[int](), list[int](), list[int]()
        model = self.model
        for arc in arcs:
            spoken = lattice.pronunciations[lattice.arc_pronunciation[arc]]
            phones += [model.phones.index(phone) for phone in spoken]
            is_word = bool(lattice.arc_word[arc])
            positions += _positions(len(spoken)) if is_word else [SINGLE] * len(spoken)
            ends += lattice.arc_phone_ends(arc).tolist()
        centre, edge = np.array(phones, np.int64), model.phones.index(model.silence)
        left, right = np.append(edge, centre)[:-1], np.append(centre, edge)[1:]
        hmms = model.hmm_index(centre, left, right, np.array(positions))
        return zip(hmms.tolist(), [0, *ends[:-1]], ends, strict=True)

    def _aligned(self, spans: set[Span]) -> dict[Span, Costs]:
        pdfs = {hmm: self.model.hmm_pdfs[hmm][self.model.hmm_pdfs[hmm] >= 0] for hmm, _, _ in spans}
        rows: dict[Span, list[np.ndarray]] = {span: [] for span in spans}
        at = 0
        needed = np.unique(np.concatenate([*pdfs.values(), np.zeros(0, np.int32)]).astype(np.int32))
        for scores in self.score(needed):
            for (hmm, start, end), parts in rows.items():
                if start < at + len(scores) and at < end:
                    parts.append(scores[max(start - at, 0) : end - at][:, pdfs[hmm]])
            at += len(scores)
        leave = -self.scale * self.model.hmm_exit_log_probs
        stay = -self.scale * self.model.hmm_loop_log_probs
        return {
            span: _align(-np.concatenate(parts), leave[span[0]].tolist(), stay[span[0]].tolist())
            for span, parts in rows.items()
        }


def _positions(n_phones: int) -> list[int]:
    """Where in its word each phone stands."""
    if n_phones == 1:
        return [SINGLE]
    return [BEGIN, *[INTERNAL] * (n_phones - 2), END][:n_phones]


def _align(acoustic: np.ndarray, leave: Sequence[float], stay: Sequence[float]) -> Costs:
    """The cheapest way through all states in their order: (n_frames, n_states) costs."""
    inf = float("inf")
    n_states = acoustic.shape[1]
    # (total, acoustic, transitions) in each state; a state's exit is paid on entering it.
    best: list[tuple[float, float, float]] = [(inf, inf, inf)] * n_states
    for frame, row in enumerate(acoustic.tolist()):
        after = []
        for state, cost in enumerate(row):
            before = best[state - 1] if state else (0.0, 0.0, 0.0) if frame == 0 else (inf,) * 3
            entered, stayed = before[0] + leave[state], best[state][0] + stay[state]
            if entered <= stayed:
                total, sound, moved = entered, before[1], before[2] + leave[state]
            else:
                total, sound, moved = stayed, best[state][1], best[state][2] + stay[state]
            after.append((total + cost, sound + cost, moved))
        best = after
    return best[-1][1:]
