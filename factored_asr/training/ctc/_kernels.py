"""The compiled loop of training a head: the best path through a sentence's pronunciations.

It has a slow twin in the tests.
"""

import numpy as np

from factored_asr.storage.kernels import kernel


@kernel
def best_path(log_probs, labels, first_in, source, start, end):
    """Find the best path of nodes: at each frame stay in the node, or come from one of its sources.

    Node n scores ``log_probs[t, labels[n]]`` at frame t; its sources are
    ``source[first_in[n]:first_in[n + 1]]``. Returns the node of each frame and the path's log
    probability; -inf, and nodes of -1, where there is none.
    """
    n_frames, n_nodes = log_probs.shape[0], len(labels)
    score = np.full(n_nodes, -np.inf)
    new = np.empty(n_nodes)
    back = np.zeros((n_frames, n_nodes), np.int32)
    for n in range(n_nodes):
        if start[n]:
            score[n] = log_probs[0, labels[n]]
    for t in range(1, n_frames):
        for n in range(n_nodes):
            best, at = score[n], n
            for a in range(first_in[n], first_in[n + 1]):
                if score[source[a]] > best:
                    best, at = score[source[a]], source[a]
            new[n] = best + log_probs[t, labels[n]]
            back[t, n] = at
        score, new = new, score
    path = np.full(n_frames, -1, np.int32)
    best, at = -np.inf, -1
    for n in range(n_nodes):
        if end[n] and score[n] > best:
            best, at = score[n], n
    if at >= 0:
        for t in range(n_frames - 1, -1, -1):
            path[t] = at
            at = back[t, at]
    return path, best
