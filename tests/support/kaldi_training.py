"""Kaldi's own update, splitting and alignment, through kaldi-hmm-gmm, for comparison.

That package lives with one version of kaldifst only (kaldi-hmm-gmm 1.1.4 with kaldifst 1.7.17), so
what it gives is frozen in ``data/kaldi_training.npz``. Run ``python -m
support.kaldi_training`` in tests/ to recompute the file, in an environment that has the two.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.training.monophone import MonoOptions, flat_model
from factored_asr.training.sentence import Trellis, make_sentences, make_trellis
from support import synthetic

FROZEN = Path(__file__).parents[1] / "data" / "kaldi_training.npz"
ALL = 0x7  # means, variances and weights
MIN_VARIANCE, MIN_OCCUPANCY = 0.001, 3.0
SPLIT_TARGET, SPLIT_POWER = 40, 0.25
TEXT = ("baa", "ab", "b")


def example() -> tuple[DiagonalMixtures, np.ndarray, np.ndarray]:
    """Mixtures, one of them with a Gaussian far from everything; frames; their pdfs."""
    rng = np.random.default_rng(11)
    sizes = (3, 1, 4)
    means = rng.standard_normal((8, 4))
    means[6] += 50
    weights = np.concatenate([rng.dirichlet(np.ones(size) * 3) for size in sizes])
    variances = rng.uniform(0.3, 2, (8, 4))
    densities = DiagonalMixtures(means, variances, weights, np.cumsum([0, *sizes]))
    features = rng.standard_normal((600, 4)).astype(np.float32) * [1, 2, 0.5, 0.01]
    return densities, features.astype(np.float32), rng.choice(3, 600, p=[0.6, 0.1, 0.3])


def spoken_model() -> GmmModel:
    """A model of the synthetic language, of random mixtures."""
    corpus = synthetic.speak(2)
    options = MonoOptions(states=2, silence_states=3)
    model = flat_model(corpus.data, synthetic.lexicon(), options)
    rng = np.random.default_rng(12)
    n = model.n_pdfs
    densities = DiagonalMixtures(
        rng.standard_normal((2 * n, 2)) * 4, rng.uniform(0.5, 3, (2 * n, 2)),
        np.tile([0.3, 0.7], n), np.arange(0, 2 * n + 1, 2),
    )  # fmt: skip
    fields = {name: getattr(model, name) for name in GmmModel.__dataclass_fields__}
    loop = rng.uniform(0.4, 0.9, model.hmm_pdfs.shape)
    return GmmModel(**{**fields, "densities": densities, "hmm_loop_log_probs": np.log(loop),
                            "hmm_exit_log_probs": np.log1p(-loop)})  # fmt: skip


def spoken_trellis(model: GmmModel) -> Trellis:
    (sentence,) = make_sentences([TEXT], synthetic.lexicon(), model, 0.4)
    return make_trellis(sentence, model)


def spoken_frames() -> np.ndarray:
    return np.random.default_rng(13).standard_normal((60, 2)).astype(np.float32) * 4


def _kaldi_model(densities: DiagonalMixtures):
    import kaldi_hmm_gmm as kaldi

    model = kaldi.AmDiagGmm()
    for p in range(densities.n_pdfs):
        own = slice(*densities.first_gaussian[p : p + 2])
        gmm = kaldi.DiagGmm(own.stop - own.start, densities.n_features)
        gmm.set_weights(densities.weights[own])
        gmm.set_invvars_and_means(1 / densities.variances[own], densities.means[own])
        gmm.compute_gconsts()
        model.add_pdf(gmm)
    return model


def kaldi_update(
    densities: DiagonalMixtures, features: np.ndarray, pdf: np.ndarray
) -> dict[str, np.ndarray]:
    """New parameters after one pass; the log-likelihood of the pass; Gaussians after a split."""
    import kaldi_hmm_gmm as kaldi

    model = _kaldi_model(densities)
    seen = kaldi.AccumAmDiagGmm()
    seen.init(model, ALL)
    total = sum(
        seen.accumulate_for_gmm(model, x, int(p), 1.0) for x, p in zip(features, pdf, strict=True)
    )
    options = kaldi.MleDiagGmmOptions()
    options.min_variance, options.min_gaussian_occupancy = MIN_VARIANCE, MIN_OCCUPANCY
    occupancy = np.bincount(pdf, minlength=densities.n_pdfs).astype(np.float32)
    kaldi.mle_am_diag_gmm_update(options, seen, ALL, model)
    gmms = [model.get_pdf(p) for p in range(model.num_pdfs)]
    result = {
        "weights": np.concatenate([np.ravel(gmm.weights) for gmm in gmms]),
        "means": np.concatenate([
            np.ravel(gmm.get_component_mean(k)) for gmm in gmms for k in range(gmm.num_gauss)
        ]),
        "variances": np.concatenate([
            np.ravel(gmm.get_component_variance(k)) for gmm in gmms for k in range(gmm.num_gauss)
        ]),
        "sizes": np.array([gmm.num_gauss for gmm in gmms]),
        "log_likelihood": np.array(total),
    }  # fmt: skip
    model.split_by_count(occupancy, SPLIT_TARGET, 0.01, SPLIT_POWER, 20.0)
    result["split_sizes"] = np.array([model.num_gauss_in_pdf(p) for p in range(model.num_pdfs)])
    return result


def kaldi_align(
    model: GmmModel, trellis: Trellis, observed: np.ndarray
) -> dict[str, np.ndarray]:
    """The pdfs of the best path through a trellis, and its log-likelihood."""
    import kaldi_hmm_gmm as kaldi
    import kaldifst

    fst = kaldifst.StdVectorFst()
    n = len(trellis.unit)
    for _ in range(n + 1):
        fst.add_state()
    fst.start = n

    def arc(source: int, target: int, log_prob: float) -> None:
        label = int(trellis.pdf[target]) + 1
        fst.add_arc(source, kaldifst.StdArc(label, 0, float(-log_prob), int(target)))

    for node in range(n):
        if trellis.start[node] > -np.inf:
            arc(n, node, trellis.start[node])
        arc(node, node, trellis.loop[node])
        for a in range(trellis.first_in[node], trellis.first_in[node + 1]):
            arc(int(trellis.source[a]), node, trellis.arc_log_prob[a])
        if trellis.end[node] > -np.inf:
            fst.set_final(node, float(-trellis.end[node]))
    config = kaldi.AlignConfig()
    config.beam, config.retry_beam = 1e5, 0.0
    mixtures = _kaldi_model(model.densities)  # scores do not keep it alive
    scores = kaldi.DecodableAmDiagGmmUnmapped(mixtures, observed)
    answer = kaldi.align_utterance_wrapper(config, "u", 1.0, fst, scores, 0, 0, 0, 0.0, 0)
    path = np.array(answer[5], np.int64) - 1
    return {"path": path, "log_likelihood": np.array(answer[3])}


def from_kaldi() -> dict[str, np.ndarray]:
    """All that is compared."""
    model = spoken_model()
    updated = kaldi_update(*example())
    aligned = kaldi_align(model, spoken_trellis(model), spoken_frames())
    return {f"update_{k}": v for k, v in updated.items()} | {
        f"align_{k}": v for k, v in aligned.items()
    }


if __name__ == "__main__":
    FROZEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(FROZEN, **from_kaldi())
