"""The compiled loops of training: paths through the trellis of one sentence.

Exact: no beam, since a sentence has few states. A node is entered from itself (its loop) or over
an arc from another node. Each has a slow twin in the tests.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def viterbi(scores, column, loop, start, end, first_in, source, arc_log_prob):
    """The likeliest path: (node of each frame, log-likelihood); -inf where no path is whole.

    ``scores[t, column[n]]`` is the log-likelihood of frame t in node n.
    """
    n_frames, n_nodes = scores.shape[0], len(column)
    back = np.zeros((n_frames, n_nodes), np.uint16)  # 0: stayed; k: came over the k-th arc
    before, now = np.empty(n_nodes), np.empty(n_nodes)
    for n in range(n_nodes):
        before[n] = start[n] + scores[0, column[n]]
    for t in range(1, n_frames):
        for n in range(n_nodes):
            best, came = before[n] + loop[n], 0
            for a in range(first_in[n], first_in[n + 1]):
                over = before[source[a]] + arc_log_prob[a]
                if over > best:
                    best, came = over, a - first_in[n] + 1
            now[n] = best + scores[t, column[n]]
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


@njit(cache=True, nogil=True)
def _log_add(a, b):
    if a < b:
        a, b = b, a
    if b == -np.inf or b - a < -40.0:  # below the last bit
        return a
    return a + math.log1p(math.exp(b - a))


@njit(cache=True, nogil=True)
def forward_backward(scores, column, loop, start, end, first_in, source, arc_log_prob):
    """Posteriors of every node at every frame, over all paths.

    Returns (n_frames, n_nodes) posteriors, (n_nodes,) expected loops taken, log-likelihood of all
    paths together; -inf, and zeros, where there is none.
    """
    n_frames, n_nodes = scores.shape[0], len(column)
    forward = np.empty((n_frames, n_nodes))
    posterior, loops = np.zeros((n_frames, n_nodes)), np.zeros(n_nodes)
    for n in range(n_nodes):
        forward[0, n] = start[n] + scores[0, column[n]]
    for t in range(1, n_frames):
        for n in range(n_nodes):
            total = forward[t - 1, n] + loop[n]
            for a in range(first_in[n], first_in[n + 1]):
                total = _log_add(total, forward[t - 1, source[a]] + arc_log_prob[a])
            forward[t, n] = total + scores[t, column[n]]
    whole = -np.inf
    for n in range(n_nodes):
        whole = _log_add(whole, forward[n_frames - 1, n] + end[n])
    if whole == -np.inf:
        return posterior, loops, whole
    after, now = end.copy(), np.empty(n_nodes)
    for t in range(n_frames - 1, -1, -1):
        for n in range(n_nodes):
            if forward[t, n] + after[n] > whole - 80.0:
                posterior[t, n] = math.exp(forward[t, n] + after[n] - whole)
        if t == 0:
            break
        now[:] = -np.inf
        for n in range(n_nodes):
            ahead = after[n] + scores[t, column[n]]
            if ahead == -np.inf:
                continue
            stayed = forward[t - 1, n] + loop[n] + ahead - whole
            if stayed > -80.0:
                loops[n] += math.exp(stayed)
            now[n] = _log_add(now[n], ahead + loop[n])
            for a in range(first_in[n], first_in[n + 1]):
                now[source[a]] = _log_add(now[source[a]], ahead + arc_log_prob[a])
        after, now = now, after
    return posterior, loops, whole


@njit(cache=True, nogil=True)
def align_spans(scores, start, end, pdfs, loop, leave):
    """The likeliest states of phones whose first and last frames are known.

    Phone i takes frames ``start[i]:end[i]`` through the states ``pdfs[i]`` (-1 beyond the last),
    each at least once, in order; a path has ``scores[t, pdf]`` for its frames and
    ``loop[i, s]`` or ``leave[i, s]`` for staying in or leaving a state. Returns the pdfs of all
    phones' frames in one row, and each phone's log-likelihood, -inf where it is too short.
    """
    n_states = pdfs.shape[1]
    path = np.zeros((end - start).sum(), np.int32)
    total = np.empty(len(start))
    value = np.empty(n_states)
    longest = 0
    for i in range(len(start)):
        longest = max(longest, end[i] - start[i])
    came = np.zeros((longest, n_states), np.bool_)  # from the state before
    at = 0
    for i in range(len(start)):
        length = end[i] - start[i]
        last = 0
        while last + 1 < n_states and pdfs[i, last + 1] >= 0:
            last += 1
        value[:] = -np.inf
        value[0] = scores[start[i], pdfs[i, 0]]
        for t in range(1, length):
            for s in range(min(last, t), -1, -1):
                best = value[s] + loop[i, s]
                came[t, s] = s > 0 and value[s - 1] + leave[i, s - 1] > best
                if came[t, s]:
                    best = value[s - 1] + leave[i, s - 1]
                value[s] = best + scores[start[i] + t, pdfs[i, s]]
        total[i] = value[last] + leave[i, last]
        s = last
        for t in range(length - 1, -1, -1):
            path[at + t] = pdfs[i, s]
            if came[t, s] and t:
                s -= 1
        at += length
    return path, total


@njit(cache=True, nogil=True)
def arc_posteriors(source, target, log_arc, log_final):
    """Posteriors of the arcs of a lattice, and the log of the sum over its paths.

    Nodes are in topological order, arcs sorted by source; node 0 is the start.
    """
    n_arcs = len(source)
    before = np.full(len(log_final), -np.inf)
    after = log_final.copy()
    before[0] = 0.0
    for a in range(n_arcs):
        before[target[a]] = _log_add(before[target[a]], before[source[a]] + log_arc[a])
    for a in range(n_arcs - 1, -1, -1):
        after[source[a]] = _log_add(after[source[a]], log_arc[a] + after[target[a]])
    posterior = np.zeros(n_arcs)
    if after[0] > -np.inf:
        for a in range(n_arcs):
            posterior[a] = math.exp(before[source[a]] + log_arc[a] + after[target[a]] - after[0])
    return posterior, after[0]
