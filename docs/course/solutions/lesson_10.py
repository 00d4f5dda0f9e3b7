"""Solutions of lesson 10."""

import numpy as np


def mix(speech, noise, snr):
    """Decibels are ten times the logarithm of a ratio of powers."""
    ratio = np.mean(speech**2) / np.mean(noise**2)
    return speech + np.sqrt(ratio / 10 ** (snr / 10)) * noise


def decide(log_likelihoods, log_priors, scale):
    """The highest weighted score."""
    return int(np.argmax(scale * log_likelihoods + log_priors))
