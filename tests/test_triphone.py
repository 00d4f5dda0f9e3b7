"""Triphones: a language whose A sounds otherwise before a B than elsewhere, and what is learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import synthetic

from factored_asr.acoustic import BEGIN
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.acoustic.gmm.tree import RIGHT
from factored_asr.errors import OptionError
from factored_asr.training.data import TrainingData
from factored_asr.training.em import PassReport, Run, Trained
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.schedule import Schedule
from factored_asr.training.triphone import TriphoneOptions, tie_states, train_triphones
from factored_asr.training.tying import TreeOptions

TREE = TreeOptions(n_leaves=12, min_frames=20)
MONO = MonoOptions(
    schedule=Schedule(passes=12, realign=tuple(range(2, 13)), n_gaussians=12, grow_until=8),
    states=2, silence_states=2,
)  # fmt: skip
SHORT = TriphoneOptions(
    tree=TREE, schedule=Schedule(passes=8, realign=(4, 6), n_gaussians=20, grow_until=5)
)
BEFORE_B = np.array([4.0, 0.0], np.float32)


def coarticulated(truth: tuple[tuple[str, int], ...]) -> np.ndarray:
    """(n_frames,) bool: an A that a B follows."""
    begins = [i for i, (phone, state) in enumerate(truth)
              if not i or truth[i - 1][0] != phone or truth[i - 1][1] > state]  # fmt: skip
    shifted = np.zeros(len(truth), bool)
    for first, after in zip(begins, begins[1:], strict=False):
        shifted[first:after] = truth[first][0] == "A" and truth[after][0] == "B"
    return shifted


@pytest.fixture(scope="module")
def data() -> TrainingData:
    corpus = synthetic.speak(60)
    cepstra = [
        each + np.outer(coarticulated(truth), BEFORE_B).astype(np.float32)
        for each, truth in zip(corpus.data.cepstra, corpus.truth, strict=True)
    ]
    return replace(corpus.data, cepstra=tuple(cepstra))


@pytest.fixture(scope="module")
def mono(data: TrainingData) -> Trained:
    return train_mono(data, synthetic.lexicon(), None, MONO)


@pytest.fixture(scope="module")
def reports() -> list[PassReport]:
    return []


@pytest.fixture(scope="module")
def tri(data: TrainingData, mono: Trained, reports: list[PassReport]) -> Trained:
    return train_triphones(data, synthetic.lexicon(), mono, SHORT, Run(report=reports.append))


def test_the_tree_asks_what_the_sound_depends_on(tri: Trained) -> None:
    tree = tri.model.tree
    assert tree is not None
    a, b = tri.model.phones.index("A"), tri.model.phones.index("B")
    for state in range(2):
        root = tree.roots[a, state]
        sets = np.flatnonzero(tree.members[root, :3]).tolist()
        assert tree.asks[root] == RIGHT and (sets == [b] or b not in sets)
    assert "A, state 0" in tree.describe() and "right" in tree.describe("A")


def test_the_pdfs_before_b_and_elsewhere_are_what_was_put_in(tri: Trained) -> None:
    model = tri.model
    a, b, silence = (model.phones.index(each) for each in ("A", "B", "SIL"))
    first, means, weights = (
        getattr(model.densities, name) for name in ("first_gaussian", "means", "weights")
    )
    for right, expected in ((b, 8.0), (silence, 4.0)):
        for pdf in model.hmm_pdfs[model.hmm_index(a, b, right, BEGIN)]:
            own = slice(first[pdf], first[pdf + 1])
            assert weights[own] @ means[own, 0] == pytest.approx(expected, abs=0.4)


def test_likelihood_never_falls_and_ends_above_the_monophones(
    data: TrainingData, mono: Trained, tri: Trained, reports: list[PassReport]
) -> None:
    likelihoods = [each.log_likelihood for each in reports]
    assert len(likelihoods) == SHORT.schedule.passes and reports[-1].failed == 0
    assert (np.diff(likelihoods) > -1e-3).all()
    more: list[PassReport] = []
    train_mono(data, synthetic.lexicon(), None, replace(MONO, schedule=replace(
        MONO.schedule, n_gaussians=20)), Run(report=more.append))  # fmt: skip
    assert likelihoods[-1] > more[-1].log_likelihood + 0.1
    assert reports[-1].n_pdfs == tri.model.n_pdfs > mono.model.n_pdfs


def test_leaves_begin_as_the_gaussians_of_their_frames(data: TrainingData, mono: Trained) -> None:
    model = tie_states(data, mono, TREE)
    pdf = np.concatenate([each.pdfs(model) for each in mono.alignments if each])
    frames = np.concatenate(
        [data.features(i) for i, each in enumerate(mono.alignments) if each]
    )
    for p in range(model.n_pdfs):
        own = frames[pdf == p]
        np.testing.assert_allclose(model.densities.means[p], own.mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(model.densities.variances[p], own.var(axis=0), rtol=1e-3)
    assert model.densities.weights.tolist() == [1.0] * model.n_pdfs
    loops = model.hmm_loop_log_probs
    assert np.array_equal(loops, mono.model.hmm_loop_log_probs[:3][model.hmm_phone])


def test_a_tree_can_be_grown_in_another_space(data: TrainingData, mono: Trained) -> None:
    """Behind a new transform of the features, and each speaker's own."""
    swap = np.array([[0.0, 2, 1], [1, 0, 0]])
    shift = np.array([[1.0, 0, 5], [0, 1, -5]])
    adapted = replace(mono, transforms={speaker: shift for speaker in data.speakers})
    model = tie_states(data, adapted, TREE, features=data.options, transform=swap)
    plain = tie_states(data, mono, TREE)
    assert np.array_equal(model.transform, swap.astype(np.float32))
    expected = apply_affine(shift, apply_affine(swap, plain.densities.means))
    np.testing.assert_allclose(model.densities.means, expected, atol=1e-3)
    assert plain.tree is not None and model.tree is not None
    assert model.tree.describe() == plain.tree.describe()


def test_it_resumes_and_two_processes_are_as_good_as_one(
    data: TrainingData, mono: Trained, tri: Trained
) -> None:
    kept: dict[int, Trained] = {}
    train_triphones(data, synthetic.lexicon(), mono, SHORT, Run(keep=kept.__setitem__))
    again = train_triphones(
        data, synthetic.lexicon(), mono, SHORT, Run(jobs=2, begun=(5, kept[5]))
    )
    for name in ("means", "variances", "weights", "first_gaussian"):
        assert np.array_equal(
            getattr(again.model.densities, name), getattr(tri.model.densities, name)
        )


def test_nothing_aligned_is_refused(data: TrainingData, mono: Trained) -> None:
    with pytest.raises(OptionError, match="no utterance is aligned"):
        tie_states(data, replace(mono, alignments=(None,) * len(data)), TREE)
    with pytest.raises(OptionError, match="such as mono"):
        train_triphones(data, synthetic.lexicon(), None)
