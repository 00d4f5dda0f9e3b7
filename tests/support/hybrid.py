"""A hybrid model of the phones of en-us whose every number is drawn at random; without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.features import FeatureOptions
from factored_asr.models.bundle import Bundle
from factored_asr.training.chain.network import exported
from factored_asr.training.chain.options import TdnnOptions

SHAPE = TdnnOptions(step=3, hidden=32, bottleneck=8, offsets=(1, 3))


def random_hybrid(
    features: FeatureOptions | None = None, step: int = 3, gaussian_weight: float = 0.0
) -> HybridModel:
    """Two pdfs for each phone, without contexts."""
    known, rng = Bundle.find("en-us").acoustic_model(), np.random.default_rng(0)
    features = features or known.features
    n, d, h, b = len(known.phones), features.n_features, SHAPE.hidden, SHAPE.bottleneck
    half = np.full((n, 2), np.log(0.5), np.float32)
    densities = DiagonalMixtures(rng.normal(0, 1, (2 * n, d)), np.ones((2 * n, d)), np.ones(2 * n),
                                 np.arange(2 * n + 1))
    gmm = GmmModel(known.phones, known.silence, known.fillers, features, densities,
                   np.arange(2 * n).reshape(n, 2), np.arange(n), half, half, np.zeros((0, 4)),
                   np.zeros(0))
    shapes = {"tdnn1.affine": (h, 3 * d), "tdnnf2.linear": (b, 2 * h), "tdnnf2.affine": (h, 2 * b),
              "tdnnf3.linear": (b, 2 * h), "tdnnf3.affine": (h, 2 * b), "output": (2 * n, h)}
    arrays = {name: rng.normal(0, 0.7 / shape[1] ** 0.5, shape).astype(np.float32)
              for name, shape in shapes.items()}
    arrays |= {f"{name}.moments": np.ones((2, h), np.float32)
               for name in ("tdnn1", "tdnnf2", "tdnnf3")}
    return HybridModel(gmm, exported(arrays, replace(SHAPE, step=step)), gaussian_weight)
