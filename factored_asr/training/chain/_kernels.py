"""The compiled sums over all paths of a chain graph; each has a slow twin in the tests."""

import math

import numpy as np

from factored_asr.storage.kernels import kernel
from factored_asr.training._kernels import log_add


@kernel
def windowed(scores, entry, loop, source, target, log_arc, log_start, log_end, first, last):
    """Sum over all paths in the logarithmic domain, each node within its window of frames.

    Returns posteriors of pdfs, (n_frames, n_pdfs) float32, and the log of the sum; zeros and -inf
    where there is no path.
    """
    n_frames, n_nodes = len(scores), len(entry)
    posterior = np.zeros(scores.shape, np.float32)
    into = np.full((n_frames, n_nodes), -np.inf)  # entering a node at a frame, without its score
    forward = np.full((n_frames, n_nodes), -np.inf)
    for t in range(n_frames):
        if t == 0:
            into[0] = log_start
        else:
            for a in range(len(source)):
                if first[target[a]] <= t <= last[target[a]]:
                    before = forward[t - 1, source[a]]
                    if before > -np.inf:
                        into[t, target[a]] = log_add(into[t, target[a]], before + log_arc[a])
        for n in range(n_nodes):
            if first[n] <= t <= last[n]:
                forward[t, n] = into[t, n] + scores[t, entry[n]]
                if t > 0 and forward[t - 1, n] > -np.inf:
                    stayed = forward[t - 1, n] + scores[t, loop[n]]
                    forward[t, n] = log_add(forward[t, n], stayed)
    whole = -np.inf
    for n in range(n_nodes):
        whole = log_add(whole, forward[n_frames - 1, n] + log_end[n])
    if whole == -np.inf:
        return posterior, whole
    after, now = log_end.copy(), np.empty(n_nodes)
    for t in range(n_frames - 1, -1, -1):
        now[:] = -np.inf
        for n in range(n_nodes):
            if not first[n] <= t <= last[n] or after[n] == -np.inf:
                continue
            share = into[t, n] + scores[t, entry[n]] + after[n] - whole
            if share > -80.0:
                posterior[t, entry[n]] += math.exp(share)
            if t > 0:
                share = forward[t - 1, n] + scores[t, loop[n]] + after[n] - whole
                if share > -80.0:
                    posterior[t, loop[n]] += math.exp(share)
                now[n] = after[n] + scores[t, loop[n]]
        if t > 0:
            for a in range(len(source)):
                n = target[a]
                if first[n] <= t <= last[n] and after[n] > -np.inf:
                    ahead = log_arc[a] + scores[t, entry[n]] + after[n]
                    now[source[a]] = log_add(now[source[a]], ahead)
        after, now = now, after
    return posterior, whole


@kernel
def leaky(scores, entry, loop, source, target, arc, start, end, share, leak):
    """Sum over all paths of a large graph, with probabilities scaled frame by frame.

    Between two frames a path may also jump to node n, with probability ``leak * share[n]``. Returns
    as `windowed` does.
    """
    n_frames, n_nodes = len(scores), len(entry)
    posterior = np.zeros(scores.shape, np.float32)
    into = np.zeros((n_frames, n_nodes))  # entering a node at a frame, without its score
    forward = np.zeros((n_frames, n_nodes))  # after the jump that may follow the frame
    whole = 0.0
    likelihood = np.empty(scores.shape)
    for t in range(n_frames):
        top = scores[t].max()
        whole += top
        for k in range(scores.shape[1]):
            likelihood[t, k] = math.exp(scores[t, k] - top)
        if t == 0:
            into[0] = start
        else:
            for a in range(len(source)):
                into[t, target[a]] += forward[t - 1, source[a]] * arc[a]
        total = 0.0
        for n in range(n_nodes):
            here = into[t, n] * likelihood[t, entry[n]]
            if t > 0:
                here += forward[t - 1, n] * likelihood[t, loop[n]]
            forward[t, n] = here
            total += here
        if not total > 0.0:
            return posterior, -np.inf
        whole += math.log(total)
        for n in range(n_nodes):
            forward[t, n] /= total
            if t < n_frames - 1:
                forward[t, n] += leak * share[n]
    total = 0.0
    for n in range(n_nodes):
        total += forward[n_frames - 1, n] * end[n]
    if not total > 0.0:
        return posterior, -np.inf
    whole += math.log(total)
    after, now = end.copy(), np.zeros(n_nodes)  # before the jump that may follow the frame
    ahead = np.empty(n_nodes)
    for t in range(n_frames - 1, -1, -1):
        total = 0.0
        for n in range(n_nodes):
            ahead[n] = likelihood[t, entry[n]] * after[n]
            entered = into[t, n] * ahead[n]
            posterior[t, entry[n]] += entered
            total += entered
            now[n] = 0.0
            if t > 0:
                now[n] = likelihood[t, loop[n]] * after[n]
                stayed = forward[t - 1, n] * now[n]
                posterior[t, loop[n]] += stayed
                total += stayed
        for k in range(scores.shape[1]):
            posterior[t, k] /= total
        if t == 0:
            break
        for a in range(len(source)):
            now[source[a]] += arc[a] * ahead[target[a]]
        most, jump = 0.0, 0.0
        for n in range(n_nodes):
            most = max(most, now[n])
            jump += share[n] * now[n]
        for n in range(n_nodes):
            after[n] = (now[n] + leak * jump) / most
    return posterior, whole
