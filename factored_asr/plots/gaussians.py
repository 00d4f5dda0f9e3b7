"""The Gaussians of one state of a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.parameters import GmmParameters
from factored_asr.errors import OptionError
from factored_asr.plots.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_POINTS = 160


def plot_gaussians(
    model: GmmParameters, phone: str, state: int = 0, *, features: tuple[int, int] = (0, 1),
    n_gaussians: int = 16, ax: Axes | None = None,
) -> Axes:
    """Draw the Gaussian mixture of a state of a phone out of context, in two of its features.

    Shades are the density of the mixture. An ellipse is a Gaussian at one standard deviation, as
    strong as its weight; the heaviest are drawn.

    Parameters
    ----------
    phone, state
        Which; states are numbered from 0.
    features
        The two axes, by number from 0. Default: the first two, which for cepstra are the level and
        the tilt of the spectrum. Both must lie in one stream of a tied mixture.
    n_gaussians
        Ellipses at most, at least 1; default 16.
    ax
        Where to draw; None (default): a new figure.

    Raises
    ------
    OptionError
        The model has no such phone, state or feature.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us").acoustic_model()
    >>> ax = plot_gaussians(model, "AA", 1)
    >>> ax.get_title()
    'AA, state 1: the 16 heaviest of 128 Gaussians'
    """
    from matplotlib.patches import Ellipse

    means, variances, weights = _mixture(model, _pdf(model, phone, state), features)
    if n_gaussians < 1:
        raise OptionError(f"n_gaussians must be at least 1, got {n_gaussians}")
    kept = np.argsort(-weights, kind="stable")[:n_gaussians]
    spread = np.sqrt(variances)
    low = (means - 2.5 * spread)[kept].min(axis=0)
    high = (means + 2.5 * spread)[kept].max(axis=0)
    ax = ax or new_axes(width=6.0, height=5.0)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, N_POINTS).T), axis=-1)
    apart = (grid[..., None, :] - means) ** 2 / variances
    density = (weights / spread.prod(axis=1) * np.exp(-0.5 * apart.sum(axis=-1))).sum(axis=-1)
    ax.imshow(density, origin="lower", aspect="auto", cmap="Blues",
              extent=(low[0], high[0], low[1], high[1]))
    for k in kept:
        ax.add_patch(Ellipse(
            tuple(means[k]), *(2 * spread[k]), fill=False, edgecolor="#8a4a12",
            alpha=0.25 + 0.75 * float(weights[k] / weights.max()), linewidth=1.2,
        ))  # fmt: skip
    ax.set(xlabel=f"feature {features[0]}", ylabel=f"feature {features[1]}",
           title=f"{phone}, state {state}: the {len(kept)} heaviest of {len(weights)} Gaussians")
    return ax


def _pdf(model: GmmParameters, phone: str, state: int) -> int:
    if phone not in model.phones:
        raise OptionError(f"the model has no phone {phone!r}: it has {' '.join(model.phones)}")
    pdfs = model.hmm_pdfs[model.phones.index(phone)]
    n_states = int((pdfs >= 0).sum())
    if not 0 <= state < n_states:
        raise OptionError(f"{phone} has the states 0 to {n_states - 1}, got {state}")
    return int(pdfs[state])


def _mixture(
    model: GmmParameters, pdf: int, features: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means and variances (n_gaussians, 2), and weights (n_gaussians,), of a pdf."""
    densities, axes = model.densities, list(features)
    n_features = densities.means.shape[-1]
    if not all(0 <= axis < n_features for axis in axes):
        raise OptionError(f"features are numbered 0 to {n_features - 1}, got {features}")
    if isinstance(densities, DiagonalMixtures):
        part = slice(*densities.first_gaussian[pdf : pdf + 2])
        return densities.means[part][:, axes], densities.variances[part][:, axes], \
            densities.weights[part]
    assert isinstance(densities, TiedMixtures)
    stream = np.searchsorted(np.cumsum(densities.streams), axes, side="right")
    if stream[0] != stream[1]:
        raise OptionError(f"features {features} lie in different streams, of {densities.streams}")
    book = densities.codebook[pdf]
    return densities.means[book][:, axes], densities.variances[book][:, axes], \
        densities.weights[stream[0], :, pdf]
