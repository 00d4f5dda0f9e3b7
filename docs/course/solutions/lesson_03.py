"""Solutions of lesson 3."""

import numpy as np


def preemphasis(samples, factor):
    """Raise high frequencies."""
    return np.append(samples[0], samples[1:] - factor * samples[:-1])


def deltas(cepstra):
    """Later minus earlier, two frames to each side."""
    padded = np.pad(cepstra, ((2, 2), (0, 0)), mode="edge")
    return padded[4:] - padded[:-4]
