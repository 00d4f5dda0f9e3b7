"""A small model of every factor: a lexicon, Gaussians, unigrams."""

from __future__ import annotations

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel, TiedMixtures
from factored_asr.features import FeatureOptions
from factored_asr.language import NGramModel, NGramOrder
from factored_asr.lexicon import Lexicon, Pronunciation

LEXICON = Lexicon({
    "on": (Pronunciation(("AH", "N"), 0.75), Pronunciation(("N",), 0.25)),
    "an": (Pronunciation(("N",)),),
})


def small_model(kind: str = "diagonal") -> GmmModel:
    """Silence and two phones of two states; six pdfs over a few cepstra."""
    rng = np.random.default_rng(3)
    features = FeatureOptions(n_cepstra=4, streams="1s_c", initial_mean=(1.0, 2.0, 3.0, 4.0))
    means = rng.normal(size=(12, 4)).astype(np.float32)
    ones = np.ones_like(means)
    densities: DiagonalMixtures | TiedMixtures
    if kind == "diagonal":
        densities = DiagonalMixtures(means, ones, np.full(12, 0.5), np.arange(0, 13, 2))
    else:
        weights = np.full((2, 4, 6), 0.25)
        densities = TiedMixtures(
            means.reshape(3, 4, 4), ones.reshape(3, 4, 4), weights, [0, 0, 1, 1, 2, 2], (1, 3)
        )
    half = np.full((3, 2), np.log(0.5))
    return GmmModel(
        phones=("SIL", "AH", "N"), silence="SIL", fillers=("SIL",), features=features,
        densities=densities, hmm_pdfs=np.arange(6).reshape(3, 2), hmm_phone=np.arange(3),
        hmm_loop_log_probs=half, hmm_exit_log_probs=half,
        triphone_contexts=np.zeros((0, 4), np.int32), triphone_hmms=np.zeros(0, np.int32),
    )


def unigrams() -> NGramModel:
    words = ("<eps>", "</s>", "<s>", "an", "on")
    n = len(words) - 1
    logs = np.log(np.array([0.2, 1e-4, 0.3, 0.5], np.float32))
    order = NGramOrder(
        np.zeros(n, np.int32), np.arange(1, n + 1, dtype=np.int32), logs, np.zeros(n, np.float32)
    )
    return NGramModel(words, (order,))
