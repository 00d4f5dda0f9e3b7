"""Whispers made of voiced speech, to learn and to measure how the two are told apart."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, lfilter, sosfilt

SAMPLE_RATE = 16_000
FRAME, SHIFT, ORDER = 400, 160, 18
LOWEST, HIGHEST = 400.0, 900.0
"""Hz below which a whisper is weaker, drawn for each."""


def whispered(samples: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the same speech without a voice.

    The residual of linear prediction is replaced by noise of the same power, frame by frame, so
    that the formants stay. The low frequencies are lowered, where a whisper lacks the voice bar.
    Source: R. W. Morris, M. A. Clements, "Reconstruction of speech from whispers", 2002, reversed.

    Parameters
    ----------
    samples
        (n_samples,) float32 at 16 kHz.
    seed
        Selects the noise and how much of the low frequencies is lowered.

    Examples
    --------
    >>> voiced = np.sign(np.sin(np.arange(16000) * 2 * np.pi * 120 / 16000)).astype(np.float32)
    >>> whispered(voiced).shape
    (16000,)
    """
    rng = np.random.default_rng(seed)
    window, noise = np.hanning(FRAME), rng.normal(size=len(samples) + FRAME)
    made = np.zeros(len(samples) + FRAME)
    for at in range(0, len(samples) - FRAME, SHIFT):
        piece = samples[at : at + FRAME] * window
        products = np.correlate(piece, piece, "full")[FRAME - 1 : FRAME + ORDER].copy()
        if products[0] < 1e-9:
            continue  # silence stays silence
        products[0] *= 1.0001
        predictor = np.concatenate([[1.0], -solve_toeplitz(products[:ORDER], products[1:])])
        residual = lfilter(predictor, [1.0], piece)
        breath = noise[at : at + FRAME] * window
        breath *= np.sqrt((residual**2).sum() / (breath**2).sum())
        made[at : at + FRAME] += lfilter([1.0], predictor, breath)
    edge = rng.uniform(LOWEST, HIGHEST)
    high = butter(1, edge, "high", fs=SAMPLE_RATE, output="sos")
    return sosfilt(high, made[: len(samples)]).astype(np.float32)
