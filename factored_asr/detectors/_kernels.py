"""The inner loop of keyword spotting."""

from __future__ import annotations

import numpy as np

from factored_asr.storage.kernels import kernel

DEAD = -1e30
"""Value of a state that no path has reached."""


@kernel
def spot(scores, columns, repeats, blank, longest, value, begin, frame, found, started):
    """Advance the Viterbi search for one pronunciation by some frames.

    States alternate: phone 0, blank, phone 1, blank, …, the last phone. A path may begin with phone
    0 at any frame, stay in each state, and pass over a blank between two different phones.

    Parameters
    ----------
    scores
        (n_frames, n_pdfs) float32: log probabilities, 0 at most.
    columns
        (n_phones,) int64: the pdf of each phone.
    repeats
        (n_phones,) bool: where a phone is the same as the one before it.
    blank
        The pdf of the blank.
    longest
        Frames that a path may last, at most.
    value, begin
        (2 · n_phones - 1,) float64 and int64: the best path into each state, and its first frame;
        they are replaced.
    frame
        Number of the first frame.
    found, started
        (n_frames,) float64 and int64, replaced: value and first frame of the best path that stands
        in the last phone at each frame; `DEAD` where there is none.
    """
    n_states = len(value)
    new_value, new_begin = np.empty(n_states), np.empty(n_states, np.int64)
    for t in range(len(scores)):
        now = frame + t
        for state in range(n_states):
            phone = state // 2
            best, first = value[state], begin[state]
            if state == 0 and best < 0.0:
                best, first = 0.0, now
            if state > 0 and value[state - 1] > best:
                best, first = value[state - 1], begin[state - 1]
            is_phone = state % 2 == 0
            if is_phone and state > 1 and not repeats[phone] and value[state - 2] > best:
                best, first = value[state - 2], begin[state - 2]
            if best <= 0.5 * DEAD or now - first >= longest:
                new_value[state], new_begin[state] = DEAD, now
                continue
            new_value[state] = best + scores[t, columns[phone] if is_phone else blank]
            new_begin[state] = first
        value[:], begin[:] = new_value, new_begin
        found[t], started[t] = value[n_states - 1], begin[n_states - 1]


@kernel
def align(scores, columns, repeats, blank, states):
    """Find the best way of one pronunciation through all of some frames (Viterbi).

    Parameters
    ----------
    scores
        (n_frames, n_pdfs) float32: log probabilities; at least as many frames as phones.
    columns, repeats, blank
        As for `spot`.
    states
        (n_frames,) int64, replaced: the state of each frame; 2 · i is phone i, the odd ones are
        blanks after it.
    """
    n_states = 2 * len(columns) - 1
    n_frames = len(scores)
    value = np.full((n_frames, n_states), DEAD)
    before = np.zeros((n_frames, n_states), np.int64)
    value[0, 0] = scores[0, columns[0]]
    for t in range(1, n_frames):
        for state in range(n_states):
            best, source = value[t - 1, state], state
            if state > 0 and value[t - 1, state - 1] > best:
                best, source = value[t - 1, state - 1], state - 1
            phone = state // 2
            is_phone = state % 2 == 0
            if is_phone and state > 1 and not repeats[phone] and value[t - 1, state - 2] > best:
                best, source = value[t - 1, state - 2], state - 2
            before[t, state] = source
            if best > 0.5 * DEAD:
                value[t, state] = best + scores[t, columns[phone] if is_phone else blank]
    state = n_states - 1
    for t in range(n_frames - 1, -1, -1):
        states[t] = state
        state = before[t, state]
