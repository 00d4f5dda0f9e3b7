"""Linear maps of features: what they do to frames, and how they are estimated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_acoustic import frames, random_diagonal, tiny_model

from factored_asr import Recognizer
from factored_asr.acoustic.transforms import apply_affine, compose, identity
from factored_asr.audio import read_audio
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
    np.testing.assert_allclose(model.scorer([4, 2])(x)[:, [2, 4]], expected[:, [2, 4]], rtol=1e-5)


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
    recognizer = Recognizer(spliced, commands.graph, commands.options)
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
