"""Cepstra brought to the distribution that the model knows, each cepstrum by itself.

Noise moves a cepstrum's mean, squeezes its variance and bends what is between: quiet frames are
filled up, loud ones stay. Scaling the deviation sets right the second (O. Viikki and K. Laurila,
1998), mapping quantiles onto those of clean speech the third, too (A. de la Torre and others,
"Histogram equalization of speech representation for robust speech recognition", 2005).

As with the mean, only frames of speech are counted: how long somebody is silent says nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factored_asr.features.options import FeatureOptions

Array = NDArray[np.float64]

N_QUANTILES = 9  # of a reference that is made here
MIN_FRAMES = 30  # of speech: from fewer no distribution is told
MOST_SCALED = 3.0  # times that a deviation grows or shrinks at most
STEP = 2.5  # of a running quantile: deviations over frames heard
FIRST_FRAMES = 30.0  # that the reference counts for in running quantiles


def quantiles_of(cepstra: NDArray[np.floating], number: int = N_QUANTILES) -> Array:
    """Quantiles of frames of speech, as a reference holds them.

    Parameters
    ----------
    cepstra
        (n_frames, n_cepstra), at least one; their mean taken off.
    number
        How many; between two neighbours lies the same share of the frames.

    Returns
    -------
    (number, n_cepstra).
    """
    return np.asarray(np.quantile(cepstra, _shares(number), axis=0), np.float64)


def _shares(number: int) -> Array:
    """(number,): the share of the frames that lies below each quantile."""
    return (np.arange(number) + 0.5) / number


def equalise(cepstra: NDArray[np.floating], quantiles: Array, options: FeatureOptions) -> Array:
    """Maps cepstra with these quantiles onto the reference of the options.

    Parameters
    ----------
    cepstra
        (n_frames, n_cepstra).
    quantiles
        Of their speech, as many as the reference has.

    Returns
    -------
    The same shape: scaled to the reference's deviation where the normalisation is ``variance``,
    else mapped from quantile to quantile, and beyond the outermost shifted along with them.

    Examples
    --------
    >>> reference = np.linspace(-4.0, 4.0, 9)[:, None]
    >>> options = FeatureOptions(
    ...     n_cepstra=1, normalisation="quantiles", reference=tuple(map(tuple, reference))
    ... )
    >>> equalise(np.array([[1.0], [4.0]]), 0.5 * reference, options).tolist()
    [[2.0], [6.0]]
    """
    reference = np.asarray(options.reference, np.float64)
    if options.normalisation == "variance":
        spread = np.maximum(quantiles.std(axis=0), 1e-6)
        return cepstra * np.clip(reference.std(axis=0) / spread, 1 / MOST_SCALED, MOST_SCALED)
    mapped = np.empty(cepstra.shape)
    for cepstrum, (own, wanted) in enumerate(zip(quantiles.T, reference.T, strict=True)):
        value = cepstra[:, cepstrum]
        beyond = value - np.clip(value, own[0], own[-1])
        mapped[:, cepstrum] = np.interp(value, own, wanted) + beyond
    return mapped


class RunningQuantiles:
    """Quantiles of the speech heard so far, from a stream.

    Each quantile moves up by its share where a frame lies above, down by the rest where one lies
    below (H. Robbins and S. Monro, 1951), in steps that shrink until ``mean_frames`` of the options
    are heard. It runs over single frames: the values do not depend on how they come in.

    Examples
    --------
    >>> reference = tuple((q,) for q in np.linspace(-4.0, 4.0, 9))
    >>> running = RunningQuantiles(FeatureOptions(n_cepstra=1, reference=reference))
    >>> frames = np.random.default_rng(0).normal(2.0, 1.0, (2000, 1))
    >>> _ = running(frames, np.ones(2000, np.bool_))
    >>> abs(float(running.quantiles[4, 0]) - 2.0) < 0.2
    True
    """

    def __init__(self, options: FeatureOptions):
        self._options = options
        self.quantiles = np.asarray(options.reference, np.float64)
        self._shares = _shares(len(self.quantiles))[:, None]
        self._heard = FIRST_FRAMES

    def __call__(self, cepstra: NDArray[np.floating], speech: NDArray[np.bool_]) -> Array:
        """The next cepstra, (n_frames, n_cepstra), equalised by what was heard until each."""
        out = np.empty(cepstra.shape)
        for at, (frame, spoken) in enumerate(zip(cepstra, speech, strict=True)):
            if spoken:
                self._heard = min(self._heard + 1, self._options.mean_frames)
                step = STEP * self.quantiles.std(axis=0) / self._heard
                above = self._shares - (frame < self.quantiles)
                self.quantiles = np.sort(self.quantiles + step * above, axis=0)
            out[at] = equalise(frame[None], self.quantiles, self._options)[0]
        return out
