"""The filters that turn a power spectrum into mel bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from factored_asr.features import FeatureOptions
from factored_asr.features.mel import mel_filters
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_filterbank(features: FeatureOptions, *, ax: Axes | None = None) -> Axes:
    """Draw the mel filters of a front end over frequency, each with its largest value at 1.

    Parameters
    ----------
    features
        The front end's options, such as ``model.features`` of a GMM.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> ax = plot_filterbank(FeatureOptions(n_mels=25))
    >>> len(ax.lines), ax.get_xlabel()
    (25, 'frequency (kHz)')
    """
    filters = mel_filters(features)
    kilohertz = np.arange(len(filters)) * features.sample_rate / features.n_fft / 1000
    ax = ax or new_axes(width=9.0, height=3.2)
    for number, values in enumerate(filters.T):
        there = np.flatnonzero(values)
        part = slice(max(there[0] - 1, 0), there[-1] + 2)
        ax.plot(kilohertz[part], values[part] / values.max(), linewidth=1.2,
                color=("#1f5fa8", "#b06a2c")[number % 2])
    ax.set(xlabel="frequency (kHz)", ylabel="weight (of its largest)", ylim=(0, 1.05),
           xlim=(0, features.sample_rate / 2000),
           title=f"{filters.shape[1]} mel filters, {features.low_hz:g} to "
                 f"{min(features.high_hz, features.sample_rate / 2):g} Hz")
    return ax
