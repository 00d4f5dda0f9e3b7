"""Linear maps of features: what they do to frames, and how they are estimated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.gaussians import frames, random_diagonal, tiny_model

from factored_asr import Recognizer
from factored_asr.acoustic import DiagonalMixtures
from factored_asr.acoustic.gmm.statistics import mllt_statistics
from factored_asr.acoustic.gmm.transforms import (
    ClassStatistics,
    apply_affine,
    compose,
    identity,
    lda,
    mllt,
)
from factored_asr.audio.reading import read_audio
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.features.deltas import delta_kernels

# A model behind a transform


def test_maps_in_turn_are_one_map() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 7)), rng.normal(size=(3, 5))
    x = frames(1, 9, 6)
    np.testing.assert_allclose(
        apply_affine(compose(second, first), x),
        apply_affine(second, apply_affine(first, x)), rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    np.testing.assert_array_equal(compose(second, None), second.astype("f4"))
    np.testing.assert_allclose(apply_affine(identity(6), x), x, rtol=1e-6)


def test_a_model_scores_the_frames_that_its_transform_makes() -> None:
    rng = np.random.default_rng(2)
    plain = tiny_model(densities=random_diagonal(3, (2,) * 7, 3))
    model = replace(
        plain, features=FeatureOptions(n_cepstra=2, splice=1), transform=rng.normal(size=(3, 7))
    )
    x = frames(4, 5, 6)
    assert model.transform is not None
    expected = plain.log_likelihoods(apply_affine(model.transform, x))
    np.testing.assert_allclose(model.log_likelihoods(x), expected, rtol=1e-5)
    np.testing.assert_allclose(model.scorer([4, 2])(x), expected[:, [4, 2]], rtol=1e-5)


def test_a_speakers_map_comes_after_the_models_own() -> None:
    rng = np.random.default_rng(5)
    own, speaker = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    plain = tiny_model()
    x = frames(6, 5, 3)
    adapted = replace(plain, transform=own).with_transform(speaker)
    np.testing.assert_allclose(
        adapted.log_likelihoods(x),
        plain.log_likelihoods(apply_affine(speaker, apply_affine(own, x))), rtol=1e-4,
    )  # fmt: skip
    np.testing.assert_allclose(
        plain.with_transform(speaker).log_likelihoods(x),
        plain.log_likelihoods(apply_affine(speaker, x)), rtol=1e-5,
    )  # fmt: skip


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="the transform leaves 2 features a frame, the densit"):
        tiny_model(transform=np.ones((2, 4)))
    with pytest.raises(OptionError, match=r"must have shape \(n_outputs, 4\), got \(3, 3\)"):
        tiny_model(transform=np.ones((3, 3)))
    with pytest.raises(OptionError, match="must be finite"):
        tiny_model().with_transform(np.full((3, 4), np.nan))
    with pytest.raises(OptionError, match=r"features must have shape \(n_frames, 3\)"):
        tiny_model(transform=identity(3)).log_likelihoods(np.zeros((2, 4)))
    with pytest.raises(OptionError, match="frame 1 is not"):
        tiny_model(transform=identity(3)).log_likelihoods([[0, 0, 0], [0, np.inf, 0]])
    with pytest.raises(OptionError, match="the front end gives 4 features"):
        tiny_model(features=FeatureOptions(streams="1s_c", n_cepstra=4))


@pytest.fixture(scope="module")
def commands(graph_cache: Path) -> Recognizer:
    grammar = Path(__file__).parent.parent / "lm" / "smart_home.yaml"
    return Recognizer.load("en-us", grammar=grammar)


def test_deltas_are_a_transform_of_a_splice(commands: Recognizer, audio_dir: Path) -> None:
    """So the en-us model hears the same over a splice, in a whole file and in a stream."""
    plain = commands.model
    deltas = np.kron(np.stack(delta_kernels(plain.features)), np.eye(13))
    spliced = replace(
        plain,
        features=replace(plain.features, splice=plain.features.lookahead),
        transform=np.hstack([deltas, np.zeros((39, 1))]),
    )
    options = replace(commands.options, noise=None)  # behind a transform no model is moved
    recognizer = Recognizer(spliced, commands.graph, options)
    samples, rate = read_audio(audio_dir / "kitchen_light_on.wav")
    said = recognizer.transcribe(samples, sample_rate=rate)
    expected = commands.transcribe(samples, sample_rate=rate)
    assert said.text == expected.text == "turn on the kitchen light"
    assert said.lattice is not None and expected.lattice is not None
    assert said.lattice.best().cost == pytest.approx(expected.lattice.best().cost, abs=0.05)
    stream = recognizer.stream()
    for part in np.array_split(samples, 9):
        stream.accept(part)
    assert stream.finish().text == expected.text


# LDA


def two_clouds(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Three features: one tells the classes apart, one is loud and tells nothing, one mixes."""
    rng = np.random.default_rng(8)
    classes = rng.integers(0, 2, n)
    noise = rng.normal(size=(n, 3)) * [1.0, 30.0, 2.0]
    x = noise + np.outer(classes, [4.0, 0.0, 1.0])
    x[:, 2] += x[:, 1]
    return x, classes


def test_lda_finds_what_tells_classes_apart_and_whitens_the_rest() -> None:
    x, classes = two_clouds()
    affine = lda(ClassStatistics.of(x, classes, 2), 2)
    y = apply_affine(affine, x)
    inside = y - np.stack([y[classes == k].mean(axis=0) for k in (0, 1)])[classes]
    np.testing.assert_allclose(np.cov(inside.T), np.eye(2), atol=0.01)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=0.01)
    apart = y[classes == 1].mean(axis=0) - y[classes == 0].mean(axis=0)
    assert abs(apart[0]) > 3.9 and abs(apart[1]) < 0.01
    # Fisher's: the inverse of the covariance within, times the difference of the means.
    means = np.stack([x[classes == k].mean(axis=0) for k in (0, 1)])
    fisher = np.linalg.solve(np.cov((x - means[classes]).T), means[1] - means[0])
    np.testing.assert_allclose(affine[0, :3] / affine[0, 0], fisher / fisher[0], atol=1e-3)
    assert abs(affine[0, 1] + affine[0, 2]) < 1e-2  # the loud feature cancels out


def test_lda_is_that_of_scikit_learn() -> None:
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    rng = np.random.default_rng(9)
    classes = rng.integers(0, 4, 500)
    x = rng.normal(size=(500, 5)) + rng.normal(size=(4, 5))[classes] * 2
    peer = discriminant.LinearDiscriminantAnalysis(solver="svd", n_components=2)
    theirs = peer.fit_transform(x, classes)
    ours = apply_affine(lda(ClassStatistics.of(x, classes, 4), 2), x)
    for axis in range(2):
        assert abs(np.corrcoef(ours[:, axis], theirs[:, axis])[0, 1]) > 0.9999


def test_class_statistics_add_up_and_a_class_may_be_empty() -> None:
    x, classes = two_clouds(60)
    whole = ClassStatistics.of(x, classes, 3)
    parts = ClassStatistics.of(x[:20], classes[:20], 3) + ClassStatistics.of(
        x[20:], classes[20:], 3
    )
    np.testing.assert_allclose(lda(parts, 1), lda(whole, 1), rtol=1e-4, atol=1e-5)
    with pytest.raises(OptionError, match="a class each, 0..1"):
        ClassStatistics.of(x, classes + 1, 2)
    with pytest.raises(OptionError, match=r"n_outputs is 4, must lie in 1\.\.3"):
        lda(whole, 4)
    with pytest.raises(OptionError, match="singular"):
        lda(ClassStatistics.of(np.ones((4, 3)), [0, 0, 1, 1], 2), 1)


# MLLT


def test_mllt_finds_the_axes_in_which_covariances_are_diagonal() -> None:
    """Two states whose covariances are diagonal in the same turned axes."""
    rng = np.random.default_rng(10)
    mixing = rng.normal(size=(3, 3))
    sizes = np.array([[1.0, 0.2, 3.0], [0.3, 2.0, 1.0]])
    classes = rng.integers(0, 2, 20_000)
    x = (rng.normal(size=(20_000, 3)) * sizes[classes]) @ mixing.T
    total = np.eye(3)
    for _ in range(20):  # the variances between the updates of the matrix
        y = x @ total.T
        variances = np.stack([y[classes == k].var(axis=0) for k in (0, 1)])
        densities = DiagonalMixtures(np.zeros((2, 3)), variances, [1, 1], [0, 1, 2])
        statistics = mllt_statistics(densities, y, classes)
        matrix = mllt(statistics)
        assert statistics.auxiliary(matrix) >= statistics.auxiliary(np.eye(3)) - 1e-6
        total = matrix @ total
    unmixed = np.abs(total @ mixing)
    unmixed /= unmixed.max(axis=1, keepdims=True)
    assert sorted(np.argmax(unmixed, axis=1)) == [0, 1, 2]
    assert np.sort(unmixed, axis=1)[:, :2].max() < 0.05


def test_mllt_statistics_are_scatter_around_the_means() -> None:
    densities = random_diagonal(11, (2, 3), 3)
    x, pdfs = frames(12, 40, 3).astype("f4"), np.arange(40) % 2
    weights = np.linspace(0, 1, 40)
    found = mllt_statistics(densities, x, pdfs, weights)
    expected = np.zeros((3, 3, 3))
    means, variances = densities.means.astype(float), densities.variances.astype(float)
    for frame, pdf, weight in zip(x.astype(float), pdfs, weights, strict=True):
        own = slice(*densities.first_gaussian[pdf : pdf + 2])
        away = frame - means[own]
        logs = -0.5 * (away**2 / variances[own] + np.log(variances[own])).sum(axis=1)
        joint = densities.weights[own] * np.exp(logs)
        gamma = weight * joint / joint.sum()
        expected += np.einsum("g,gi,gj,gk->ijk", gamma, 1 / variances[own], away, away)
    np.testing.assert_allclose(found.scatter, expected, rtol=1e-4, atol=1e-3)
    half = mllt_statistics(densities, x[:9], pdfs[:9], weights[:9])
    rest = mllt_statistics(densities, x[9:], pdfs[9:], weights[9:])
    np.testing.assert_allclose((half + rest).scatter, found.scatter, rtol=1e-6, atol=1e-6)
    assert found.frames == pytest.approx(weights.sum())
