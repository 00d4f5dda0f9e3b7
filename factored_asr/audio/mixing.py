"""Speech in noise, by the rule of Picovoice's speech-to-intent benchmark.

Noise of the same length is cut out at a random place, whose seed is the name of the speech: every
system, and every run, gets the same mixture. The noise is scaled by
sqrt(Emax(speech) / (Emax(noise) · 10^(SNR/10))), Emax being the largest sum of squares over blocks
of 2,048 samples, and added. The sum is divided by twice its peak.
"""

from __future__ import annotations

import zlib

import numpy as np

from factored_asr.errors import OptionError

BLOCK = 2048  # samples


def mix(speech: np.ndarray, noise: np.ndarray, snr: float, name: str) -> np.ndarray:
    """Mix speech with a piece of noise.

    Parameters
    ----------
    speech, noise
        Samples of one rate, (n_samples,) and at least as many; neither may be silence.
    snr
        Signal-to-noise ratio by the loudest blocks, decibels. Lower: more noise.
    name
        Name of the speech; with the SNR it is the seed of the place in the noise.

    Returns (n_samples,) of float32, of peak 0.5. Raises OptionError if the noise is shorter than
    the speech, or one of them is silent.

    Examples
    --------
    >>> speech, noise = np.sin(np.arange(4096)), np.cos(np.arange(9000) ** 2)
    >>> mixed = mix(speech, noise, 6.0, "sine")
    >>> mixed.shape, float(np.abs(mixed).max())
    ((4096,), 0.5)
    """
    if len(noise) < len(speech):
        law = f"fewer than the speech's {len(speech)}"
        raise OptionError(f"{name}: the noise has {len(noise)} samples, {law}")
    rng = np.random.default_rng(zlib.crc32(f"{name} {snr:g}".encode(errors="surrogateescape")))
    begin = int(rng.integers(0, len(noise) - len(speech) + 1))
    try:
        return add_noise(speech, noise[begin : begin + len(speech)], snr)
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from None


def add_noise(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add noise of the same length; parameters, result and errors as for `mix`."""
    loud, under = peak_energy(speech), peak_energy(noise)
    if not (loud and under):
        raise OptionError(f"{'noise' if loud else 'speech'} is silent, has no SNR")
    mixed = speech + np.sqrt(loud / (under * 10.0 ** (snr / 10.0))) * noise
    return (mixed / (2.0 * np.abs(mixed).max())).astype(np.float32)


def peak_energy(samples: np.ndarray) -> float:
    """Return the largest sum of squares over non-overlapping blocks."""
    n_blocks = max(len(samples) // BLOCK, 1)
    blocks = samples[: n_blocks * BLOCK].astype(np.float64).reshape(n_blocks, -1)
    return float((blocks**2).sum(axis=1).max())
