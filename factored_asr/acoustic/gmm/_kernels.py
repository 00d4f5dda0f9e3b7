"""The compiled loops of the acoustic model. Each has a slow twin in the tests."""

import math

import numpy as np

from factored_asr.storage.kernels import kernel


@kernel
def log_sum_exp(log_gaussians, first, out):
    """``out[t, p] = log sum_g exp(log_gaussians[t, g])``, g in ``first[p]:first[p + 1]``.

    The largest term is taken out first, so that nothing underflows however far the frame lies
    from every Gaussian.
    """
    for t in range(log_gaussians.shape[0]):
        for p in range(out.shape[1]):
            largest = log_gaussians[t, first[p]]
            for g in range(first[p] + 1, first[p + 1]):
                largest = max(largest, log_gaussians[t, g])
            total = np.float32(0.0)
            for g in range(first[p], first[p + 1]):
                total += math.exp(log_gaussians[t, g] - largest)
            out[t, p] = largest + math.log(total)


@kernel
def scatter_scaled(logs, scale, book_of, columns, out):
    """``out[t, columns[j]] = logs[t, j] + scale[t, book_of[j]]``."""
    for t in range(logs.shape[0]):
        for j in range(columns.shape[0]):
            out[t, columns[j]] = logs[t, j] + scale[t, book_of[j]]


@kernel
def rotating_checksum(words):
    """Sphinx's checksum of 32-bit words: rotate the sum left by 20 bits, add the next word."""
    total = np.uint32(0)
    for word in words:
        total = np.uint32((total << np.uint32(20)) | (total >> np.uint32(12))) + np.uint32(word)
        total = np.uint32(total)
    return total
