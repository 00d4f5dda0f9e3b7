"""Random Gaussian mixtures, frames, and a small model made of them."""

from __future__ import annotations

import numpy as np

from factored_asr.acoustic import BEGIN, DiagonalMixtures, GmmModel, TiedMixtures
from factored_asr.features import FeatureOptions


def random_weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    weights = rng.random(shape) ** 4 + 1e-6
    return weights / weights.sum(axis=1, keepdims=True)


def random_tied(
    seed: int, n_books: int, n_pdfs: int, streams: tuple[int, ...], n_gaussians: int = 6
) -> TiedMixtures:
    rng = np.random.default_rng(seed)
    shape = (n_books, n_gaussians, sum(streams))
    return TiedMixtures(
        rng.normal(scale=3, size=shape),
        rng.uniform(0.1, 4, shape),
        random_weights(rng, len(streams), n_gaussians, n_pdfs),
        rng.integers(0, n_books, n_pdfs),
        streams,
    )


def random_diagonal(seed: int, sizes: tuple[int, ...], n_features: int) -> DiagonalMixtures:
    rng = np.random.default_rng(seed)
    shape = (sum(sizes), n_features)
    return DiagonalMixtures(
        rng.normal(scale=3, size=shape),
        rng.uniform(0.1, 4, shape),
        np.concatenate([random_weights(rng, 1, size)[0] for size in sizes]),
        np.cumsum([0, *sizes]),
    )


def frames(seed: int, n_frames: int, n_features: int, scale: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=(n_frames, n_features))


def tiny_model(**changes: object) -> GmmModel:
    """Three phones of two states, one triphone, static cepstra."""
    parts = {
        "phones": ("AH", "SIL", "T"),
        "silence": "SIL",
        "fillers": ("SIL",),
        "features": FeatureOptions(streams="1s_c", n_cepstra=3),
        "densities": random_tied(5, 3, 7, (3,)),
        "hmm_pdfs": [[0, 1], [2, -1], [3, 4], [5, 6]],
        "hmm_phone": [0, 1, 2, 0],
        "hmm_loop_log_probs": np.log(np.full((4, 2), 0.6)),
        "hmm_exit_log_probs": np.log(np.full((4, 2), 0.4)),
        "triphone_contexts": [[0, 1, 2, BEGIN]],
        "triphone_hmms": [3],
    }
    return GmmModel(**{**parts, **changes})  # type: ignore[arg-type]
