"""Compiled searches for the best states, exact: no beam.

Each has a slow twin in the tests.
"""

from __future__ import annotations

import numpy as np

from factored_asr.storage.kernels import kernel


@kernel
def viterbi(scores, entry, stay, loop, start, end, first_in, source, arc_log_prob):
    """Find the best path: (node of each frame, log-likelihood); -inf where no path is complete.

    A node is entered over an arc from another node, or from itself (its loop). Frame t has the
    log-likelihood ``scores[t, entry[n]]`` where it enters node n, ``scores[t, stay[n]]`` where it
    stays there.
    """
    n_frames, n_nodes = scores.shape[0], len(entry)
    back = np.zeros((n_frames, n_nodes), np.uint16)  # 0: stayed; k: came over the k-th arc
    before, now = np.empty(n_nodes), np.empty(n_nodes)
    for n in range(n_nodes):
        before[n] = start[n] + scores[0, entry[n]]
    for t in range(1, n_frames):
        for n in range(n_nodes):
            best, came = -np.inf, 0
            for a in range(first_in[n], first_in[n + 1]):
                over = before[source[a]] + arc_log_prob[a]
                if over > best:
                    best, came = over, a - first_in[n] + 1
            best += scores[t, entry[n]]
            stayed = before[n] + loop[n] + scores[t, stay[n]]
            if stayed >= best:
                best, came = stayed, 0
            now[n] = best
            back[t, n] = came
        before, now = now, before
    path = np.zeros(n_frames, np.int32)
    total, node = -np.inf, 0
    for n in range(n_nodes):
        if before[n] + end[n] > total:
            total, node = before[n] + end[n], n
    for t in range(n_frames - 1, -1, -1):
        path[t] = node
        if t and back[t, node]:
            node = source[first_in[node] + back[t, node] - 1]
    return path, total


@kernel
def align_spans(scores, start, stop, entry, stay, loop, leave, skip):
    """Find the best states of units whose first and last frames are known.

    Unit i takes the frames ``start[i]:stop[i]``; ``entry[i, s]`` and ``stay[i, s]`` are the
    columns of its states, -1 beyond the last. Returns the columns of all units' frames in one row,
    and of each unit the log-likelihood, -inf where no path fits, and its part from transitions.
    """
    columns = np.zeros((stop - start).sum(), np.int32)
    total, moved = np.full(len(start), -np.inf), np.zeros(len(start))
    max_states = entry.shape[1]
    first_in = np.zeros(max_states + 1, np.int32)
    source, log_prob = np.zeros(2 * max_states, np.int32), np.zeros(2 * max_states)
    at = 0
    for i in range(len(start)):
        length, n = stop[i] - start[i], 0
        begin, end = np.full(max_states, -np.inf), np.full(max_states, -np.inf)
        begin[0] = 0.0
        n_arcs = 0
        while n < max_states and entry[i, n] >= 0:
            for back in range(1, min(n, 2) + 1):  # from the state before, or over it
                source[n_arcs] = n - back
                log_prob[n_arcs] = leave[i, n - 1] if back == 1 else skip[i, n - 2]
                n_arcs += 1
            n += 1
            first_in[n] = n_arcs
        end[n - 1] = leave[i, n - 1]
        if n > 1:
            end[n - 2] = skip[i, n - 2]
        if length > 0:
            part = scores[start[i] : stop[i]]
            path, total[i] = viterbi(
                part, entry[i, :n], stay[i, :n], loop[i], begin, end, first_in, source, log_prob
            )
            moved[i] = total[i]
            for t in range(length):
                enters = t == 0 or path[t] != path[t - 1]
                columns[at + t] = entry[i, path[t]] if enters else stay[i, path[t]]
                moved[i] -= part[t, columns[at + t]]
        at += length
    return columns, total, moved
