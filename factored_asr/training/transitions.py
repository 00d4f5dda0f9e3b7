"""How long states last: the transition probabilities of the HMMs, counted from alignments.

They are tied over all contexts of a phone: each state of a phone has one probability of staying.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.training.alignment import StateAlignment

MIN_FRAMES = 10.0  # less says nothing about how long a state lasts
LIMITS = 0.01, 0.99  # a duration never seen is not impossible


@dataclass(frozen=True, eq=False)
class TransitionStatistics:
    """How many frames were spent in each state of each phone, and how often it was left."""

    frames: np.ndarray
    """(n_phones, max_states) float64."""
    left: np.ndarray
    """(n_phones, max_states) float64: by going on to the next state, or out of the phone."""

    def __add__(self, other: TransitionStatistics) -> TransitionStatistics:
        return TransitionStatistics(self.frames + other.frames, self.left + other.left)


def count_transitions(
    alignments: Iterable[StateAlignment | None], model: GmmModel
) -> TransitionStatistics:
    """Count stays along the paths of alignments."""
    shape = len(model.phones), model.hmm_pdfs.shape[1]
    frames, left = np.zeros(shape), np.zeros(shape)
    for each in alignments:
        if each is not None:
            phone = each.phones[each.segment, 0]
            np.add.at(frames, (phone, each.state), 1.0)
            ends = np.append((np.diff(each.segment) != 0) | (np.diff(each.state) != 0), True)
            np.add.at(left, (phone[ends], each.state[ends]), 1.0)
    return TransitionStatistics(frames, left)


def update_transitions(model: GmmModel, statistics: TransitionStatistics) -> GmmModel:
    """The model with the transition probabilities that follow from the counts.

    A state that is left once in n frames stays with probability 1 - 1 / n.
    """
    enough = statistics.frames >= MIN_FRAMES
    leave = np.divide(
        statistics.left, statistics.frames, out=np.full(enough.shape, 0.5), where=enough
    )
    leave = np.clip(leave, *LIMITS)[model.hmm_phone]
    known = enough[model.hmm_phone] & (model.hmm_pdfs >= 0)
    return replace(
        model,
        hmm_loop_log_probs=np.where(known, np.log1p(-leave), model.hmm_loop_log_probs),
        hmm_exit_log_probs=np.where(known, np.log(leave), model.hmm_exit_log_probs),
    )
