"""Transition probabilities of the HMMs, counted from alignments.

They are tied over all contexts of a phone: each state of a phone has one probability of staying.
Counts are arrays (2, n_phones, max_states) float64, which add up: the frames spent in each state of
each phone, and how often it was left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.training.alignment import StateAlignment

MIN_FRAMES = 10.0  # with fewer, a state keeps its transitions
LIMITS = 0.01, 0.99  # of leaving a state: a duration without examples is not impossible


def no_transitions(model: GmmModel) -> np.ndarray:
    """Return counts of nothing."""
    return np.zeros((2, len(model.phones), model.hmm_pdfs.shape[1]))


def count_transitions(alignments: Iterable[StateAlignment], model: GmmModel) -> np.ndarray:
    """Count stays along the paths of alignments."""
    counts = no_transitions(model)
    for each in alignments:
        phone = each.phones[each.segment, 0]
        np.add.at(counts[0], (phone, each.state), 1.0)
        ends = np.append((np.diff(each.segment) != 0) | (np.diff(each.state) != 0), True)
        np.add.at(counts[1], (phone[ends], each.state[ends]), 1.0)
    return counts


def update_transitions(model: GmmModel, counts: np.ndarray) -> GmmModel:
    """Return the model with the transition probabilities that follow from the counts.

    A state that is left once in n frames stays with probability 1 - 1 / n.
    """
    frames, left = counts
    enough = frames >= MIN_FRAMES
    leave = np.divide(left, frames, out=np.full(enough.shape, 0.5), where=enough)
    leave = np.clip(leave, *LIMITS)[model.hmm_phone]
    known = enough[model.hmm_phone] & (model.hmm_pdfs >= 0)
    return replace(
        model,
        hmm_loop_log_probs=np.where(known, np.log1p(-leave), model.hmm_loop_log_probs),
        hmm_exit_log_probs=np.where(known, np.log(leave), model.hmm_exit_log_probs),
    )
