"""Adaptation: maps of features and of means, and MAP; with answers known beforehand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gaussians import random_diagonal, random_tied

from factored_asr.acoustic import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.adaptation import (
    MapOptions,
    MllrOptions,
    map_adapt,
    mllr_adapt,
    mllr_map,
    regression_classes,
)
from factored_asr.acoustic.gmm.fmllr import (
    FmllrOptions,
    FmllrStatistics,
    fmllr,
    fmllr_statistics,
    prior_statistics,
)
from factored_asr.acoustic.gmm.statistics import accumulate, expected_precisions
from factored_asr.acoustic.gmm.transforms import apply_affine, identity
from factored_asr.errors import OptionError

Densities = DiagonalMixtures | TiedMixtures


def drawn(
    densities: DiagonalMixtures, n_frames: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames that the densities make, and the pdf of each."""
    rng = np.random.default_rng(seed)
    pdfs = rng.integers(0, densities.n_pdfs, n_frames)
    first = densities.first_gaussian
    gaussians = np.array([
        rng.choice(np.arange(first[p], first[p + 1]), p=_weights(densities, p)) for p in pdfs
    ])
    noise = rng.normal(size=(n_frames, densities.n_features))
    return densities.means[gaussians] + noise * np.sqrt(densities.variances[gaussians]), pdfs


def _weights(densities: DiagonalMixtures, pdf: int) -> np.ndarray:
    weights = densities.weights[slice(*densities.first_gaussian[pdf : pdf + 2])].astype(float)
    return weights / weights.sum()


def likelihood(densities: Densities, features: np.ndarray, pdfs: np.ndarray) -> float:
    return float(densities.scorer()(features)[range(len(pdfs)), pdfs].sum(dtype=np.float64))


def some(kind: str, seed: int) -> Densities:
    if kind == "plain":
        return random_diagonal(seed, (3, 1, 4, 2), 4)
    return random_tied(seed, 3, 5, (2, 1, 1) if kind == "streams" else (4,))


KINDS = pytest.mark.parametrize("kind", ["plain", "tied", "streams"])


# Posteriors


@KINDS
def test_statistics_are_sums_over_posteriors(kind: str) -> None:
    """Against the definition, frame by frame and Gaussian by Gaussian."""
    densities = some(kind, 1)
    rng = np.random.default_rng(2)
    x = rng.normal(scale=2, size=(30, 4)).astype("f4")
    pdfs, weights = rng.integers(0, densities.n_pdfs, 30), rng.random(30)
    found = accumulate(densities, x, pdfs, weights)
    means = densities.means.reshape(-1, 4).astype(float)
    variances = densities.variances.reshape(-1, 4).astype(float)
    first, second = np.zeros_like(means), np.zeros_like(means)
    by_weight = np.zeros(densities.weights.shape)
    precisions, targets = np.zeros((30, 4)), np.zeros((30, 4))
    streams = densities.streams if isinstance(densities, TiedMixtures) else (4,)
    for t in range(30):
        end = 0
        for s, size in enumerate(streams):
            columns = slice(end, end + size)
            end += size
            if isinstance(densities, TiedMixtures):
                n = densities.means.shape[1]
                start = int(densities.codebook[pdfs[t]]) * n
                own = slice(start, start + n)
                prior = densities.weights[s, :, pdfs[t]]
            else:
                own = slice(*densities.first_gaussian[pdfs[t] : pdfs[t] + 2])
                prior = densities.weights[own]
            m, v = means[own, columns], variances[own, columns]
            value = x[t, columns].astype(float)
            joint = prior * np.exp(-0.5 * ((value - m) ** 2 / v + np.log(v)).sum(axis=1))
            gamma = weights[t] * joint / joint.sum()
            first[own, columns] += gamma[:, None] * value
            second[own, columns] += gamma[:, None] * value**2
            precisions[t, columns] = (gamma[:, None] / v).sum(axis=0)
            targets[t, columns] = (gamma[:, None] * m / v).sum(axis=0)
            if isinstance(densities, TiedMixtures):
                by_weight[s, :, pdfs[t]] += gamma
            else:
                by_weight[own] += gamma
    np.testing.assert_allclose(found.first, first, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.second, second, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.occupancy, by_weight, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.by_stream(densities).sum(axis=1), weights.sum(), rtol=1e-6)
    expected = densities.scorer()(x)[range(30), pdfs] @ weights
    assert found.log_likelihood == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(
        expected_precisions(densities, x, pdfs, weights), (precisions, targets), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@KINDS
def test_statistics_of_parts_add_up(kind: str) -> None:
    densities = some(kind, 3)
    rng = np.random.default_rng(4)
    x, pdfs = rng.normal(size=(40, 4)), rng.integers(0, densities.n_pdfs, 40)
    whole = accumulate(densities, x, pdfs)
    parts = accumulate(densities, x[:13], pdfs[:13]) + accumulate(
        densities, x[13:], pdfs[13:]
    )
    for name in ("occupancy", "first", "second", "frames", "log_likelihood"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-6)


def test_frames_that_break_their_law_are_refused() -> None:
    densities = some("plain", 5)
    with pytest.raises(OptionError, match="pdf 4 is not one of the model's 4"):
        accumulate(densities, np.zeros((1, 4)), np.array([4]))
    with pytest.raises(OptionError, match="2 frames need as many pdfs"):
        accumulate(densities, np.zeros((2, 4)), np.array([0]))
    with pytest.raises(OptionError, match="finite and not negative"):
        accumulate(densities, np.zeros((1, 4)), np.array([0]), np.array([-1.0]))


# fMLLR


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_known_map_is_found_again(seed: int) -> None:
    """Frames of the model, put through a map: fMLLR undoes it."""
    densities = random_diagonal(seed, (1,) * 12, 3)
    x, pdfs = drawn(densities, 3000, seed)
    rng = np.random.default_rng(seed)
    matrix = np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    if abs(np.linalg.det(matrix)) < 0.2:
        return  # too near to losing a dimension
    offset = rng.normal(size=3)
    distorted = (x - offset) @ np.linalg.inv(matrix).T
    found = fmllr(fmllr_statistics(densities, distorted, pdfs))
    np.testing.assert_allclose(found, np.hstack([matrix, offset[:, None]]), atol=0.15)


def test_the_full_map_is_the_optimisers() -> None:
    from scipy.optimize import minimize

    densities = random_diagonal(7, (2, 3, 2), 3)
    x, pdfs = drawn(densities, 800, 7)
    statistics = fmllr_statistics(densities, 0.7 * x + [1.0, 0.0, -2.0], pdfs)
    ours = fmllr(statistics, FmllrOptions(sweeps=200))

    def cost(flat: np.ndarray) -> float:
        return -statistics.auxiliary(flat.reshape(3, 4)) / statistics.frames

    found = minimize(cost, np.eye(3, 4).ravel(), method="BFGS", options={"gtol": 1e-7})
    assert statistics.auxiliary(ours) >= -found.fun * statistics.frames - 0.01
    np.testing.assert_allclose(ours, found.x.reshape(3, 4), atol=2e-2)


@pytest.mark.parametrize("kind", ["diagonal", "offset"])
def test_the_smaller_maps_are_the_optimisers(kind: str) -> None:
    from scipy.optimize import minimize

    densities = random_diagonal(8, (2, 3), 2)
    x, pdfs = drawn(densities, 300, 8)
    statistics = fmllr_statistics(densities, 0.8 * x + [0.5, -1.0], pdfs)
    ours = fmllr(statistics, FmllrOptions(kind=kind))  # type: ignore[arg-type]

    def affine(flat: np.ndarray) -> np.ndarray:
        scale = np.diag(flat[2:]) if kind == "diagonal" else np.eye(2)
        return np.hstack([scale, flat[:2, None]])

    start = np.array([0.0, 0.0, 1.0, 1.0])[: 4 if kind == "diagonal" else 2]
    found = minimize(lambda flat: -statistics.auxiliary(affine(flat)), start)
    np.testing.assert_allclose(ours, affine(found.x), atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(6, 400), st.sampled_from(["plain", "tied", "streams"]),
    st.sampled_from(["full", "diagonal", "offset"]),
)  # fmt: skip
def test_a_map_never_lowers_the_likelihood(
    seed: int, n_frames: int, kind: str, map_kind: str
) -> None:
    """Neither the auxiliary function nor, after the Jacobian, the likelihood itself; and a second
    estimate from posteriors behind the first is no worse than that."""
    densities = some(kind, seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=2, size=(n_frames, 4)).astype("f4")
    pdfs = rng.integers(0, densities.n_pdfs, n_frames)
    options = FmllrOptions(kind=map_kind, offset_frames=0)  # type: ignore[arg-type]
    affine, reached = identity(4), likelihood(densities, x, pdfs)
    for _ in range(3):
        mapped = apply_affine(affine, x)
        statistics = fmllr_statistics(densities, x, pdfs, posterior_features=mapped)
        new = fmllr(statistics, options, start=affine)
        assert statistics.auxiliary(new) >= statistics.auxiliary(affine) - 1e-3 * n_frames
        jacobian = n_frames * np.linalg.slogdet(new[:, :-1].astype(float))[1]
        now = likelihood(densities, apply_affine(new, x), pdfs) + jacobian
        assert now >= reached - 2e-3 * n_frames
        affine, reached = new, now


def test_few_frames_move_little() -> None:
    options = FmllrOptions(full_frames=500, diagonal_frames=100, offset_frames=20)
    kinds = [options.chosen(frames) for frames in (10, 50, 200, 900)]
    assert kinds == [None, "offset", "diagonal", "full"]
    densities = some("plain", 9)
    assert isinstance(densities, DiagonalMixtures)
    x, pdfs = drawn(densities, 19, 9)
    np.testing.assert_array_equal(fmllr(fmllr_statistics(densities, x, pdfs)), identity(4))
    nothing = fmllr_statistics(densities, np.zeros((0, 4)), np.zeros(0, int))
    np.testing.assert_array_equal(fmllr(nothing, FmllrOptions(kind="full")), identity(4))


def test_a_prior_alone_asks_for_the_identity_and_holds_few_frames_near_it() -> None:
    densities = random_diagonal(10, (2, 3, 2), 3)
    prior = prior_statistics(densities, densities.weights)
    assert fmllr(prior, FmllrOptions(kind="full", offset_frames=0)) == pytest.approx(
        identity(3), abs=1e-4
    )
    x, pdfs = drawn(densities, 30, 10)
    statistics = fmllr_statistics(densities, x + 3.0, pdfs)
    distance = [
        np.abs(fmllr(statistics, options, prior) - identity(3)).max()
        for options in (FmllrOptions(kind="full", prior_frames=tau) for tau in (1, 100, 1e4))
    ]
    assert distance[0] > distance[1] > distance[2] < 0.1
    with pytest.raises(OptionError, match="need prior statistics"):
        fmllr(statistics, FmllrOptions(prior_frames=1))


def test_a_weight_of_nothing_is_as_good_as_silence_cut_out() -> None:
    densities = some("plain", 11)
    rng = np.random.default_rng(11)
    x, pdfs = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    speech = pdfs != 1
    weighed = fmllr_statistics(densities, x, pdfs, speech.astype(float))
    cut = fmllr_statistics(densities, x[speech], pdfs[speech])
    assert weighed.frames == cut.frames == speech.sum()
    np.testing.assert_allclose(weighed.quadratic, cut.quadratic, rtol=1e-5, atol=1e-6)
    halves = FmllrStatistics(0.0, 0 * cut.linear, 0 * cut.quadratic) + cut
    np.testing.assert_array_equal(halves.linear, cut.linear)


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"kind": "block"}, "kind is 'block', must be one of auto, full, diagonal, offset"),
        ({"full_frames": 5.0}, "must ascend"),
        ({"sweeps": 0}, "sweeps 0 must be at least 1"),
    ],
)
def test_wrong_options_of_a_map_are_refused(wrong: dict, law: str) -> None:
    with pytest.raises(OptionError, match=law):
        FmllrOptions(**wrong)


# MLLR


def test_means_that_moved_together_are_found() -> None:
    densities = random_diagonal(12, (1,) * 20, 3)
    rng = np.random.default_rng(12)
    affine = np.hstack([np.eye(3) + 0.2 * rng.normal(size=(3, 3)), rng.normal(size=(3, 1))])
    moved = densities.means @ affine[:, :-1].T + affine[:, -1]
    there = DiagonalMixtures(moved, densities.variances, densities.weights, range(21))
    x, pdfs = drawn(there, 20_000, 12)
    statistics = accumulate(densities, x, pdfs)
    found = mllr_map(
        densities.means, densities.variances, statistics.occupancy, statistics.first
    )
    np.testing.assert_allclose(found, affine, atol=0.05)
    adapted = mllr_adapt(densities, statistics, MllrOptions(classes=1, prior_frames=0))
    np.testing.assert_allclose(adapted.means, moved, atol=0.2)


@KINDS
@pytest.mark.parametrize("classes", [1, 4])
def test_mllr_never_lowers_the_likelihood(kind: str, classes: int) -> None:
    densities = some(kind, 13)
    rng = np.random.default_rng(13)
    x = rng.normal(scale=2, size=(500, 4)).astype("f4") + 1
    pdfs = rng.integers(0, densities.n_pdfs, 500)
    options = MllrOptions(classes, min_frames=20, prior_frames=0)
    reached = [likelihood(densities, x, pdfs)]
    for _ in range(4):
        densities = mllr_adapt(densities, accumulate(densities, x, pdfs), options)
        reached.append(likelihood(densities, x, pdfs))
    assert (np.diff(reached) > -0.05).all()
    assert reached[-1] > reached[0] + 50


def test_regression_classes_are_clusters_that_heard_enough() -> None:
    rng = np.random.default_rng(14)
    centres = np.repeat([[0, 0], [20, 0], [0, 20]], 5, axis=0)
    means = centres + rng.normal(size=(15, 2))
    heard = np.full(15, 100.0)
    classes = regression_classes(means, heard, MllrOptions(classes=3, min_frames=100))
    assert sorted(map(sorted, classes)) == [
        list(range(5)), list(range(5, 10)), list(range(10, 15))
    ]  # fmt: skip
    few = regression_classes(means, heard, MllrOptions(classes=3, min_frames=600))
    assert [len(members) for members in few] == [15]
    one_each = regression_classes(means, heard, MllrOptions(classes=20, min_frames=0))
    assert sorted(np.concatenate(one_each).tolist()) == list(range(15))


def test_a_speaker_who_was_not_heard_moves_nothing() -> None:
    densities = some("streams", 15)
    nothing = accumulate(densities, np.zeros((0, 4)), np.zeros(0, int))
    np.testing.assert_array_equal(mllr_adapt(densities, nothing).means, densities.means)
    adapted = map_adapt(densities, nothing)
    np.testing.assert_allclose(adapted.means, densities.means, rtol=1e-6)
    np.testing.assert_allclose(adapted.variances, densities.variances, rtol=1e-6)
    np.testing.assert_allclose(adapted.weights, densities.weights, rtol=1e-4)


# MAP


def test_map_lies_between_the_model_and_what_was_heard() -> None:
    model = DiagonalMixtures([[0.0]], [[1.0]], [1.0], [0, 1])
    heard = accumulate(model, np.repeat([[3.0], [5.0]], 50, axis=0), np.zeros(100, int))
    for tau, mean in ((0.0, 4.0), (100.0, 2.0), (300.0, 1.0), (np.inf, 0.0)):
        found = map_adapt(model, heard, MapOptions(means=tau, variances=np.inf))
        assert found.means.item() == pytest.approx(mean, abs=1e-5)
        assert found.variances.item() == 1.0
    sharp = map_adapt(model, heard, MapOptions(0.0, 0.0))
    assert sharp.variances.item() == pytest.approx(1.0)
    # The mean is 2: what was heard lies 4 + 1 around it in the square.
    between = map_adapt(model, heard, MapOptions(100.0, 100.0))
    assert between.variances.item() == pytest.approx(3.0)


@KINDS
def test_without_a_prior_map_is_em_and_never_lowers_the_likelihood(kind: str) -> None:
    densities = some(kind, 16)
    rng = np.random.default_rng(16)
    x = rng.normal(scale=3, size=(600, 4)).astype("f4")
    pdfs = rng.integers(0, densities.n_pdfs, 600)
    options = MapOptions(means=0, variances=0, weights=0, min_variance=0.02)
    reached = [likelihood(densities, x, pdfs)]
    for _ in range(5):
        densities = map_adapt(densities, accumulate(densities, x, pdfs), options)
        reached.append(likelihood(densities, x, pdfs))
    assert (np.diff(reached) > -0.1).all()
    assert reached[-1] > reached[0] + 100


@KINDS
def test_adapted_weights_still_sum_to_one(kind: str) -> None:
    densities = some(kind, 17)
    rng = np.random.default_rng(17)
    x, pdfs = rng.normal(size=(60, 4)), rng.integers(0, densities.n_pdfs, 60)
    found = map_adapt(densities, accumulate(densities, x, pdfs)).weights
    if isinstance(densities, TiedMixtures):
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    else:
        np.testing.assert_allclose(
            np.add.reduceat(found, densities.first_gaussian[:-1]), 1, rtol=1e-5
        )


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: MapOptions(means=-1.0), "MAP means is -1.0"),
        (lambda: MapOptions(min_variance=0.0), "min_variance is 0.0"),
        (lambda: MllrOptions(classes=0), "classes 0 must be at least 1"),
    ],
)
def test_wrong_options_are_refused(make: Callable[[], object], law: str) -> None:
    with pytest.raises(OptionError, match=law):
        make()


def test_statistics_of_other_densities_are_refused() -> None:
    statistics = accumulate(some("plain", 18), np.zeros((1, 4)), np.array([0]))
    with pytest.raises(OptionError, match="do not fit"):
        map_adapt(some("tied", 18), statistics)


KALDI_MAP = '''
import sys
import kaldi_hmm_gmm as khg  # before kaldifst, or both hang
import numpy as np
given = np.load(sys.argv[1])
model, first = khg.AmDiagGmm(), given["first"]
for p in range(len(first) - 1):
    own, pdf = slice(first[p], first[p + 1]), khg.DiagGmm()
    pdf.resize(nmix=int(first[p + 1] - first[p]), dim=given["means"].shape[1])
    pdf.set_weights(given["weights"][own])
    pdf.set_invvars_and_means(1 / given["variances"][own], given["means"][own])
    pdf.compute_gconsts()
    model.add_pdf(pdf)
flags = khg.str_to_gmm_flags("mvw")
seen = khg.AccumAmDiagGmm()
seen.init(model=model, flags=flags)
for x, p in zip(given["x"], given["pdfs"]):
    seen.accumulate_for_gmm(model=model, data=x, gmm_index=int(p), weight=1.0)
options = khg.MapDiagGmmOptions()
options.mean_tau, options.variance_tau, options.weight_tau = 10.0, 50.0, 10.0
khg.map_am_diag_gmm_update(config=options, amdiag_gmm_acc=seen, flags=flags, am_gmm=model)
pdfs = [model.get_pdf(p) for p in range(len(first) - 1)]
np.savez(
    sys.argv[1], means=np.concatenate([p.means for p in pdfs]),
    variances=np.concatenate([p.vars for p in pdfs]),
    weights=np.concatenate([p.weights for p in pdfs]),
)
'''


def test_map_is_kaldis(tmp_path: Path) -> None:
    """kaldi-hmm-gmm, in a process of its own: a Python that has it may be named by
    FACTORED_ASR_KALDI_PYTHON."""
    python = os.environ.get("FACTORED_ASR_KALDI_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import kaldi_hmm_gmm"], capture_output=True).returncode:
        pytest.skip(f"{python} has no kaldi_hmm_gmm")
    densities = random_diagonal(19, (3, 1, 4, 2), 4)
    x, pdfs = drawn(densities, 400, 19)
    x = (0.8 * x + 1).astype("f4")
    place = tmp_path / "densities.npz"
    np.savez(
        place, means=densities.means, variances=densities.variances, weights=densities.weights,
        first=densities.first_gaussian, x=x, pdfs=pdfs,
    )  # fmt: skip
    subprocess.run([python, "-c", KALDI_MAP, str(place)], check=True, timeout=120)
    ours = map_adapt(densities, accumulate(densities, x, pdfs), MapOptions(10, 50, 10))
    theirs = np.load(place)
    for name in ("means", "variances", "weights"):
        np.testing.assert_allclose(getattr(ours, name), theirs[name], rtol=2e-3, atol=1e-4)
