"""The compiled loops of training: sums over the paths of a sentence or a lattice.

Each has a slow twin in the tests.
"""

import math

import numpy as np

from factored_asr.storage.kernels import kernel


@kernel
def log_add(a, b):
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    if b == -np.inf or b - a < -40.0:  # below the last bit
        return a
    return a + math.log1p(math.exp(b - a))


@kernel
def forward_backward(scores, column, loop, start, end, first_in, source, arc_log_prob):
    """Compute the posteriors of every node at every frame, over all paths.

    ``scores[t, column[n]]`` is the log-likelihood of frame t in node n. Returns (n_frames, n_nodes)
    posteriors, (n_nodes,) expected loops taken, log-likelihood of all paths together; -inf, and
    zeros, where there is none.
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
                total = log_add(total, forward[t - 1, source[a]] + arc_log_prob[a])
            forward[t, n] = total + scores[t, column[n]]
    whole = -np.inf
    for n in range(n_nodes):
        whole = log_add(whole, forward[n_frames - 1, n] + end[n])
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
            now[n] = log_add(now[n], ahead + loop[n])
            for a in range(first_in[n], first_in[n + 1]):
                now[source[a]] = log_add(now[source[a]], ahead + arc_log_prob[a])
        after, now = now, after
    return posterior, loops, whole


@kernel
def arc_posteriors(source, target, log_arc, log_final):
    """Compute the posteriors of the arcs of a lattice, and the log of the sum over its paths.

    Nodes are in topological order, arcs sorted by source; node 0 is the start.
    """
    n_arcs = len(source)
    before = np.full(len(log_final), -np.inf)
    after = log_final.copy()
    before[0] = 0.0
    for a in range(n_arcs):
        before[target[a]] = log_add(before[target[a]], before[source[a]] + log_arc[a])
    for a in range(n_arcs - 1, -1, -1):
        after[source[a]] = log_add(after[source[a]], log_arc[a] + after[target[a]])
    posterior = np.zeros(n_arcs)
    if after[0] > -np.inf:
        for a in range(n_arcs):
            posterior[a] = math.exp(before[source[a]] + log_arc[a] + after[target[a]] - after[0])
    return posterior, after[0]
