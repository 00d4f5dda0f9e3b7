"""Mel filters, cosine transforms and the lifter, as matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factored_asr.errors import OptionError
from factored_asr.features.options import FeatureOptions
from factored_asr.storage.kernels import foreign_kernels

Matrix = NDArray[np.float64]


def mel_filters(options: FeatureOptions) -> Matrix:
    """Return the mel filters, (n_fft // 2 + 1, n_mels), to be multiplied onto power spectra.

    Raises OptionError where a filter covers no bin: too many filters, or too few points.
    """
    if options.mel == "sphinx":
        filters = _sphinx_filters(options)
    else:
        import librosa  # heavy, and not needed for the models of Sphinx

        htk = options.mel == "htk"
        with foreign_kernels():
            filters = librosa.filters.mel(
                sr=options.sample_rate, n_fft=options.n_fft, n_mels=options.n_mels,
                fmin=options.low_hz, fmax=min(options.high_hz, options.sample_rate / 2), htk=htk,
                norm=None if htk else "slaney",
            ).T.astype(np.float64)  # fmt: skip
    empty = np.flatnonzero(~(filters > 0).any(axis=0))
    if empty.size:
        law = f"n_mels {options.n_mels} is too many for n_fft {options.n_fft}"
        raise OptionError(f"mel filter {empty[0]} covers no bin of the spectrum: {law}")
    return np.ascontiguousarray(filters)


def _sphinx_filters(options: FeatureOptions) -> Matrix:
    """Return triangles of unit area whose corners are rounded to bins.

    Sphinx computes them in single precision, and rounding to bins makes that visible: a corner
    that lies between two bins must fall on the same side here.
    """
    single = np.float32
    bin_hz = single(options.sample_rate) / single(options.n_fft)
    ends = np.array([options.low_hz, options.high_hz], dtype=single).astype(np.float64)
    low, high = (2595.0 * np.log10(1.0 + ends / 700.0)).astype(single)
    width = (high - low) / single(options.n_mels + 1)
    mels = np.arange(options.n_mels + 2, dtype=single) * width + low
    corners = (700.0 * (10.0 ** (mels.astype(np.float64) / 2595.0) - 1.0)).astype(single)
    corners = np.floor(corners / bin_hz + 0.5).astype(single) * bin_hz
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    narrow = np.flatnonzero((left == centre) | (centre == right))
    if narrow.size:
        law = f"n_mels {options.n_mels} is too many for n_fft {options.n_fft}"
        raise OptionError(f"mel filter {narrow[0]} is narrower than a bin of the spectrum: {law}")
    hz = (np.arange(options.n_fft // 2 + 1, dtype=single) * bin_hz)[:, None]
    height = single(2) / (right - left)
    rising = (hz - left) / (centre - left) * height
    falling = (right - hz) / (right - centre) * height
    filters = np.maximum(np.minimum(rising, falling), 0).astype(np.float64)
    filters[-1] = 0  # Sphinx never reads the bin at half the sample rate
    return filters


def cepstral_transform(options: FeatureOptions) -> Matrix:
    """Return cosine transform and lifter in one matrix, (n_mels, n_cepstra)."""
    n_mels, n_cepstra = options.n_mels, options.n_cepstra
    halves = np.outer(2 * np.arange(n_mels) + 1, np.arange(n_cepstra))
    matrix = 2 * np.cos(np.pi / (2 * n_mels) * halves)  # of type II
    if options.dct == "ortho":
        matrix *= np.sqrt(1 / (2 * n_mels))
        matrix[:, 0] /= np.sqrt(2)
    if options.dct == "htk":
        matrix = matrix / 2 * np.sqrt(2.0 / n_mels)
    elif options.dct == "legacy":
        matrix = matrix / 2 / n_mels
        matrix[0] /= 2  # the oldest Sphinx gives the lowest band half weight
    return np.ascontiguousarray(matrix * _lifter(options))


def _lifter(options: FeatureOptions) -> Matrix:
    """Return weights 1 + L/2 sin(pi i / L); L/2 is a whole number, as in Sphinx and HTK."""
    if options.lifter == 0:
        return np.ones(options.n_cepstra)
    quefrency = np.arange(options.n_cepstra)
    return 1 + options.lifter // 2 * np.sin(quefrency * np.pi / options.lifter)
