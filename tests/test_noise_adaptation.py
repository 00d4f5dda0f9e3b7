"""Models moved to the noise of a sound: against arithmetic number by number, and real noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from naive_acoustic import gaussian_in_noise

from factored_asr import Recognizer
from factored_asr.acoustic.gmm.compensation import (
    DeltaScorer,
    Gaussians,
    NoiseAdapter,
    NoiseOptions,
    Surroundings,
    in_share,
)
from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.audio.reading import read_audio
from factored_asr.errors import FormatError, OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.mel import cepstral_transform
from factored_asr.models.en_us import pocketsphinx_model_path
from factored_asr.models.importers.sphinx import read_sphinx_model
from factored_asr.models.settings import COMMANDS, DecodeOptions

ROOT = Path(__file__).resolve().parents[1]
SOUND = ROOT / "examples" / "audio" / "kitchen_light_on.wav"
TRANSFORM = cepstral_transform(FeatureOptions())
INVERSE = np.linalg.pinv(TRANSFORM)


@pytest.fixture(scope="module")
def model():
    return read_sphinx_model(pocketsphinx_model_path() / "en-us")


@pytest.fixture(scope="module")
def adapter(model):
    return NoiseAdapter(model, model.hmm_pdfs[: len(model.phones)].ravel())


def surroundings(rng, noise_level):
    channel = rng.normal(0, 3, 13) + 60 * np.eye(13)[0]
    noise = rng.normal(0, 3, 13) + noise_level * np.eye(13)[0]
    return Surroundings(channel, noise, rng.uniform(5, 20, 13))


@pytest.mark.parametrize("noise_level", [20.0, 60.0, 90.0])
def test_gaussians_in_noise_number_by_number(noise_level):
    rng = np.random.default_rng(int(noise_level))
    around = surroundings(rng, noise_level)
    clean = Gaussians(rng.normal(0, 10, (4, 13)), rng.uniform(1, 30, (4, 13)))
    moved, jacobians = clean.in_noise(around, TRANSFORM, INVERSE)
    for g in range(4):
        expected = gaussian_in_noise(
            clean.means[g], clean.variances[g], around, TRANSFORM, INVERSE
        )
        np.testing.assert_allclose(moved.means[g], expected[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(moved.variances[g], expected[1], rtol=1e-9)
        np.testing.assert_allclose(jacobians[g], expected[2], rtol=1e-9, atol=1e-12)


def test_the_jacobian_is_the_slope():
    rng = np.random.default_rng(1)
    around = surroundings(rng, 60.0)
    mean, ones = rng.normal(0, 10, (1, 13)), np.ones((1, 13))
    _, jacobians = Gaussians(mean, ones).in_noise(around, TRANSFORM, INVERSE)
    for i in range(13):
        step = 1e-4 * np.eye(13)[i]
        up, down = (
            Gaussians(mean + sign * step, ones).in_noise(around, TRANSFORM, INVERSE)[0].means[0]
            for sign in (1, -1)
        )
        np.testing.assert_allclose((up - down) / 2e-4, jacobians[0, i], atol=1e-6)


def test_powers_of_speech_and_noise_add_up():
    """Where all cepstra are kept, the moved mean is the cepstrum of the summed powers."""
    options = FeatureOptions(n_cepstra=25)
    transform = cepstral_transform(options)
    rng = np.random.default_rng(2)
    speech, noise = rng.normal(8, 2, (2, 25))  # log powers
    around = Surroundings(np.zeros(25), noise @ transform, np.ones(25))
    clean = Gaussians((speech @ transform)[None], np.ones((1, 25)))
    moved, _ = clean.in_noise(around, transform, np.linalg.inv(transform))
    np.testing.assert_allclose(moved.means[0], np.logaddexp(speech, noise) @ transform)


def test_noise_and_channel_are_found_again(adapter):
    """Frames drawn from the moved model lead back to where it was moved."""
    rng = np.random.default_rng(3)
    around = Surroundings(60.0 * np.eye(13)[0], 45.0 * np.eye(13)[0], np.full(13, 16.0))
    moved, _ = adapter._groups.in_noise(around, TRANSFORM, INVERSE)
    chosen = rng.choice(len(adapter._shares), 3000, p=adapter._shares / adapter._shares.sum())
    frames = rng.normal(moved.means[chosen], np.sqrt(moved.variances[chosen]))
    found = adapter.estimate(frames)
    np.testing.assert_allclose(found.noise, around.noise, atol=2.5)
    np.testing.assert_allclose(found.channel, around.channel, atol=2.5)


def test_a_long_sound_is_sampled(adapter, monkeypatch):
    """An hour may be no more work than MAX_FRAMES, and says the same of a steady noise."""
    rng = np.random.default_rng(6)
    around = Surroundings(60.0 * np.eye(13)[0], 45.0 * np.eye(13)[0], np.full(13, 16.0))
    moved, _ = adapter._groups.in_noise(around, TRANSFORM, INVERSE)
    chosen = rng.choice(len(adapter._shares), 12000, p=adapter._shares / adapter._shares.sum())
    frames = rng.normal(moved.means[chosen], np.sqrt(moved.variances[chosen]))
    seen = []
    one_pass = NoiseAdapter._pass
    monkeypatch.setattr(
        NoiseAdapter, "_pass",
        lambda self, part, before: seen.append(len(part)) or one_pass(self, part, before),
    )  # fmt: skip
    monkeypatch.setattr("factored_asr.acoustic.gmm.compensation.MAX_FRAMES", 1000)
    found = adapter.estimate(frames)
    assert max(seen) <= 1100
    np.testing.assert_allclose(found.noise, around.noise, atol=4.0)


def test_without_noise_only_the_channel_moves(adapter, model):
    channel = np.arange(13.0)
    quiet = Surroundings(channel, channel - 1e3 * np.eye(13)[0], np.ones(13))
    books = np.unique(model.densities.codebook[model.hmm_pdfs[: len(model.phones)].ravel()])
    moved = adapter.static(quiet, np.zeros(13), books).means[books]
    shift = moved - model.densities.means[books, :, :13]
    np.testing.assert_allclose(shift[..., 0], channel[0], atol=0.05)
    centred = adapter.static(quiet, channel, books).means[books]
    np.testing.assert_allclose(centred, moved - channel, atol=1e-4)


def test_in_loud_noise_all_static_gaussians_are_the_noise(adapter):
    around = Surroundings(np.zeros(13), 500.0 * np.eye(13)[0], np.full(13, 4.0))
    moved, jacobians = adapter._groups.in_noise(around, TRANSFORM, INVERSE)
    np.testing.assert_allclose(moved.means, np.tile(around.noise, (len(moved.means), 1)), atol=0.1)
    np.testing.assert_allclose(moved.variances, 4.0, rtol=0.01)
    assert abs(jacobians).max() < 1e-6


def test_speech_is_present_where_it_is_loud(adapter):
    """The share of speech falls with its distance to the noise, from all to nothing."""
    around = Surroundings(60.0 * np.eye(13)[0], 40.0 * np.eye(13)[0], np.full(13, 9.0))
    levels = np.array([40.0, 50.0, 60.0, 80.0])[:, None] * np.eye(13)[0]
    found = adapter.presence(around)(levels)
    assert (np.diff(found) > 0).all() and found[0] < 0.2 and found[-1] > 0.95
    quiet = Surroundings(around.channel, -900.0 * np.eye(13)[0], np.ones(13))
    np.testing.assert_allclose(adapter.presence(quiet)(levels), 1.0, atol=1e-6)


def test_deltas_are_scored_by_the_speech_in_their_frame():
    """At each level as by densities moved to it; where all is speech, as by the model itself."""
    rng = np.random.default_rng(8)
    densities = TiedMixtures(
        rng.normal(0, 1, (2, 3, 4)), rng.uniform(1, 2, (2, 3, 4)), np.full((2, 3, 5), 1 / 3),
        [0, 0, 1, 1, 1], streams=(2, 2),
    )  # fmt: skip
    frames, noise = rng.normal(0, 1, (6, 4)), rng.uniform(1, 2, 4)
    presence = np.array([1.0, 0.1, 0.52, 0.99, 0.0, 0.5])
    scores = DeltaScorer(densities, noise, densities.scorer(np.arange(5)))(frames, presence)
    levels = [1.0, 0.1, 0.5, 1.0, 0.1, 0.5]
    for frame, level, score in zip(frames, levels, scores, strict=True):
        moved = in_share(densities, noise, level)
        np.testing.assert_allclose(score, moved.scorer()(frame[None])[0], atol=1e-5)
    np.testing.assert_allclose(scores[0], densities.scorer()(frames[:1])[0], atol=1e-5)


def test_blocks_are_scored_as_the_whole(adapter, model):
    samples, _ = read_audio(SOUND, sample_rate=16000)
    front_end = FrontEnd(model.features)
    cepstra = front_end.cepstra(samples)
    features = front_end.features_from_cepstra(cepstra)
    score = adapter.scorer(cepstra, cepstra[0] - features[0, :13])
    blocks = [score(features[first : first + 37]) for first in range(0, len(features), 37)]
    np.testing.assert_allclose(np.concatenate(blocks), score(features), atol=1e-2)


def test_a_sound_without_silence_or_speech_counts_as_clean(adapter):
    alike = np.tile(60.0 * np.eye(13)[0], (50, 1))
    around = adapter.estimate(alike)
    assert around.noise[0] < around.channel[0] - 900
    assert np.isfinite(adapter.static(around, np.zeros(13), np.arange(3)).means).all()


def test_frames_of_speech_fit_better_in_their_noise(adapter, model):
    """A spoken command in hiss: the moved model explains it better than the model as it is."""
    samples, rate = read_audio(SOUND, sample_rate=16000)
    hiss = np.random.default_rng(4).normal(0, 0.01, len(samples)).astype(np.float32)
    front_end = FrontEnd(model.features)
    cepstra = front_end.cepstra(samples + hiss)
    features = front_end.features_from_cepstra(cepstra)
    pdfs = np.unique(model.hmm_pdfs[: len(model.phones)])
    plain = model.scorer(pdfs)(features).max(axis=1).mean()
    sure = NoiseAdapter(model, pdfs, NoiseOptions(static_weight=1.0, delta_weight=1.0))
    mean = cepstra[0] - features[0, :13]
    moved = sure.scorer(cepstra, mean)(features).max(axis=1).mean()
    assert moved > plain + 0.5


def test_clean_speech_is_heard_as_it_is(model):
    """Above a ratio the model stays; below, and where the ratio is infinite, it is moved."""
    samples, rate = read_audio(SOUND, sample_rate=16000)
    hiss = np.random.default_rng(5).normal(0, 0.03, len(samples)).astype(np.float32)
    plain = replace(COMMANDS, background=None)
    grammar = ROOT / "lm" / "smart_home.yaml"
    as_it_is, gated, always = (
        Recognizer.load("en-us", grammar=grammar, options=replace(plain, noise=noise))
        for noise in (None, NoiseOptions(), NoiseOptions(clean=np.inf))
    )  # fmt: skip
    for sound, same in ((samples, True), (samples + hiss, False)):
        costs = [each.transcribe(sound, sample_rate=rate).lattice.path.cost
                 for each in (as_it_is, gated, always)]  # fmt: skip
        assert costs[0] != costs[2]
        assert costs[1] == costs[0 if same else 2]


def test_a_command_in_hiss_is_heard():
    """The hiss swallows a word, until the model is moved to it."""
    plain = replace(COMMANDS, background=None)
    moved = replace(plain, noise=NoiseOptions())
    assert DecodeOptions.from_dict(moved.to_dict()) == moved
    samples, rate = read_audio(SOUND, sample_rate=16000)
    hiss = np.random.default_rng(5).normal(0, 0.03, len(samples)).astype(np.float32)
    texts = [
        Recognizer.load("en-us", grammar=ROOT / "lm" / "smart_home.yaml", options=options)
        .transcribe(samples + hiss, sample_rate=rate).text
        for options in (plain, moved)
    ]  # fmt: skip
    assert texts == ["turn on the light", "turn on the kitchen light"]


def test_what_cannot_be_moved(model):
    plain = DiagonalMixtures(
        np.zeros((model.n_pdfs, 39)), np.ones((model.n_pdfs, 39)), np.ones(model.n_pdfs),
        np.arange(model.n_pdfs + 1),
    )  # fmt: skip
    with pytest.raises(OptionError, match="only tied mixtures"):
        NoiseAdapter(replace(model, densities=plain))
    with pytest.raises(OptionError, match="first stream holds 39"):
        NoiseAdapter(replace(model, densities=replace(model.densities, streams=(39,),
                                                      weights=model.densities.weights[:1])))


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"passes": 0}, "passes is 0, must be at least 1"),
        ({"clean": float("nan")}, "clean is no number"),
        ({"stride": 0}, "stride is 0"),
        ({"static_weight": 0.0}, "static_weight is 0.0, must be above 0"),
        ({"delta_weight": 0.0}, "delta_weight is 0.0, must be above 0"),
        ({"channel_variance": 0.0}, "must be above 0"),
        ({"silence_share": 1.0}, r"must lie in \(0, 1\)"),
    ],
)
def test_options_keep_their_laws(wrong, law):
    with pytest.raises(OptionError, match=law):
        NoiseOptions(**wrong)


def test_settings_with_an_unknown_option_of_noise():
    with pytest.raises(FormatError, match="options of decoding"):
        DecodeOptions.from_dict({"noise": {"loudness": 3}})


def test_manifests_with_removed_options_of_noise():
    """What had no effect is left out; what had is refused, with the remedy."""
    old = {"noise": {**vars(NoiseOptions(stride=2)), "rounds": 1, "kinds": 1}}
    assert DecodeOptions.from_dict(old).noise == NoiseOptions(stride=2)
    for name in ("rounds", "kinds"):
        with pytest.raises(FormatError, match=f"{name} is 2, but .* leave {name} out"):
            DecodeOptions.from_dict({"noise": {name: 2}}, "manifest.json")


def test_tools_against_noise_are_switched_on_at_decoding():
    """A stream and a file use the same front end."""
    sound = ROOT / "examples" / "audio" / "music_stop.wav"
    options = replace(COMMANDS, background=None).against_noise(["mask", "no-removal"])
    assert DecodeOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    made = Recognizer.load("en-us", grammar=ROOT / "lm" / "smart_home.yaml", options=options)
    assert made.model.features.enhancement == "mask" and not made.model.features.remove_noise
    assert made.transcribe(sound).text == "stop the music"
    assert options.against_noise([]) == replace(COMMANDS, background=None)
    with pytest.raises(OptionError, match="no tool against noise is named 'magic': there are vts,"):
        options.against_noise(["magic"])
    with pytest.raises(OptionError, match="the front end has no choice 'loudness'"):
        FeatureOptions().changed({"loudness": 3})


@pytest.mark.parametrize("tool", ["subtraction", "wiener", "log-mmse", "variance", "quantiles"])
def test_tools_that_were_removed(tool):
    left = "vts, scale, no-removal, mask"
    with pytest.raises(OptionError, match=f"'{tool}' was removed, .*: there are {left}"):
        COMMANDS.against_noise(["mask", tool])


@pytest.mark.parametrize("choice", [{"enhancement": "log_mmse"}, {"normalisation": "quantiles"}])
def test_front_ends_that_were_removed(choice):
    [(name, value)], remedy = choice.items(), "was removed .* leave it out or use"
    with pytest.raises(FormatError, match=f"{name} '{value}' {remedy}"):
        DecodeOptions.from_dict({"front_end": choice}, "manifest.json")
    with pytest.raises(OptionError, match=remedy):
        FeatureOptions.from_dict(choice)
    with pytest.raises(OptionError, match=f"{name} is '{value}', must be one of"):
        FeatureOptions(**choice)
    older = {"normalisation": "speech", "reference": [[0.0] * 13]}
    assert FeatureOptions.from_dict(older) == FeatureOptions()
