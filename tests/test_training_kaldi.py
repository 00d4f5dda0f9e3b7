"""Training against Kaldi: the same update, the same alignment, to 1e-4.

Against frozen answers everywhere; against Kaldi itself where kaldi-hmm-gmm is installed.
"""

from __future__ import annotations

import numpy as np
import pytest
from support import kaldi_training as kaldi

from factored_asr.acoustic._kernels import viterbi
from factored_asr.acoustic.gmm.statistics import accumulate
from factored_asr.training.alignment import AlignmentOptions, score_trellis
from factored_asr.training.update import UpdateOptions, split_targets, update


@pytest.fixture(params=["frozen", "alive"])
def answers(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    if request.param == "alive":
        pytest.importorskip("kaldi_hmm_gmm", reason="kaldi-hmm-gmm is not installed")
        return kaldi.from_kaldi()
    with np.load(kaldi.FROZEN) as file:
        return dict(file)


def test_update(answers: dict[str, np.ndarray]) -> None:
    densities, features, pdf = kaldi.example()
    seen = accumulate(densities, features, pdf)
    options = UpdateOptions(kaldi.MIN_OCCUPANCY, 1e-5, 0.0, kaldi.MIN_VARIANCE)
    found = update(densities, seen, options)
    assert found.kept.tolist() == [True] * 6 + [False, True]
    assert found.n_floored > 0
    assert np.diff(found.densities.first_gaussian).tolist() == answers["update_sizes"].tolist()
    assert seen.log_likelihood == pytest.approx(float(answers["update_log_likelihood"]), rel=1e-4)
    for name in ("weights", "means", "variances"):
        ours = getattr(found.densities, name).ravel()
        np.testing.assert_allclose(ours, answers[f"update_{name}"], rtol=1e-4, atol=1e-4)


def test_growth(answers: dict[str, np.ndarray]) -> None:
    _, _, pdf = kaldi.example()
    counts = split_targets(np.bincount(pdf), kaldi.SPLIT_TARGET, kaldi.SPLIT_POWER)
    sizes = np.maximum(counts, answers["update_sizes"])
    assert sizes.tolist() == answers["update_split_sizes"].tolist()


def test_alignment(answers: dict[str, np.ndarray]) -> None:
    model = kaldi.spoken_model()
    trellis = kaldi.spoken_trellis(model)
    options = AlignmentOptions(boost_silence=1.0)
    scores, column = score_trellis(kaldi.spoken_frames(), trellis, model, options)
    path, total = viterbi(scores, column, column, *trellis.transitions)
    assert total == pytest.approx(float(answers["align_log_likelihood"]), rel=1e-4)
    assert trellis.pdf[path].tolist() == answers["align_path"].tolist()
