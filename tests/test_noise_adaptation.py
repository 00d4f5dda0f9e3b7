"""Models moved to the noise of a sound: against arithmetic number by number, and real noise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from naive_acoustic import gaussian_in_noise

from factored_asr import Recognizer
from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.noise_adaptation import NoiseAdapter, NoiseOptions
from factored_asr.acoustic.gmm.noise_deltas import DeltaScorer, in_share
from factored_asr.acoustic.gmm.noise_heard import KnownSpeech
from factored_asr.acoustic.gmm.noise_mixing import Gaussians, Surroundings
from factored_asr.audio.reading import read_audio
from factored_asr.errors import FormatError, OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.mel import cepstral_transform
from factored_asr.models.importers.sphinx import pocketsphinx_model_path, read_sphinx_model
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
    monkeypatch.setattr("factored_asr.acoustic.gmm.noise_adaptation.MAX_FRAMES", 1000)
    found = adapter.estimate(frames)
    assert max(seen) <= 1100
    np.testing.assert_allclose(found.noise, around.noise, atol=4.0)


def test_without_noise_only_the_channel_moves(adapter, model):
    channel = np.arange(13.0)
    quiet = Surroundings(channel, channel - 1e3 * np.eye(13)[0], np.ones(13))
    books = np.unique(model.densities.codebook[model.hmm_pdfs[: len(model.phones)].ravel()])
    moved = adapter.static(quiet, np.zeros(13)).means[books]
    shift = moved - model.densities.means[books, :, :13]
    np.testing.assert_allclose(shift[..., 0], channel[0], atol=0.05)
    centred = adapter.static(quiet, channel).means[books]
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
    features, score = front_end.features_from_cepstra(cepstra), adapter.scorer(cepstra)
    blocks = [score(features[first : first + 37]) for first in range(0, len(features), 37)]
    np.testing.assert_allclose(np.concatenate(blocks), score(features), atol=1e-2)


def test_a_sound_without_silence_or_speech_counts_as_clean(adapter):
    alike = np.tile(60.0 * np.eye(13)[0], (50, 1))
    around = adapter.estimate(alike)
    assert around.noise[0] < around.channel[0] - 900
    assert np.isfinite(adapter.static(around, np.zeros(13)).means).all()


def test_frames_of_speech_fit_better_in_their_noise(adapter, model):
    """A spoken command in hiss: the moved model explains it better than the model as it is."""
    samples, rate = read_audio(SOUND, sample_rate=16000)
    hiss = np.random.default_rng(4).normal(0, 0.01, len(samples)).astype(np.float32)
    front_end = FrontEnd(model.features)
    cepstra = front_end.cepstra(samples + hiss)
    features = front_end.features_from_cepstra(cepstra)
    pdfs = np.unique(model.hmm_pdfs[: len(model.phones)])
    plain = model.scorer(pdfs)(features)[:, pdfs].max(axis=1).mean()
    sure = NoiseAdapter(model, pdfs, NoiseOptions(trust=1.0, delta_trust=1.0))
    moved = sure.scorer(cepstra)(features)[:, pdfs].max(axis=1).mean()
    assert moved > plain + 0.5


def test_frames_belong_to_the_gaussians_of_their_pdf():
    """Posteriors number by number: only a frame's own codebook shares it, by its pdf's weights."""
    rng = np.random.default_rng(7)
    weights = rng.dirichlet(np.ones(3), (1, 4)).transpose(0, 2, 1)
    densities = TiedMixtures(
        rng.normal(0, 1, (3, 3, 2)), rng.uniform(0.5, 2, (3, 3, 2)), weights, [0, 2, 2, 1]
    )
    pdfs, sure = np.array([1, 0, 2, 1, 1]), np.array([1.0, 0.5, 0.0, 0.25, 1.0])
    frames = rng.normal(0, 1, (5, 2))
    known = KnownSpeech(densities, pdfs, sure)
    assert known.used.tolist() == [0, 2] and known.books.tolist() == [2, 0, 2, 2, 2]
    used = Gaussians(*(np.float64(part[known.used].reshape(-1, 2))
                       for part in (densities.means, densities.variances)))
    expected, total = np.zeros((2, 3)), np.zeros((2, 3, 2))
    for frame, pdf, weight in zip(frames, pdfs, sure, strict=True):
        book = int(densities.codebook[pdf])
        likely = [
            float(densities.weights[0, g, pdf]) * np.prod([
                math.exp(-0.5 * (x - m) ** 2 / v) / math.sqrt(v)
                for x, m, v in zip(frame, densities.means[book, g], densities.variances[book, g],
                                   strict=True)
            ])
            for g in range(3)
        ]
        for g in range(3):
            share = weight * likely[g] / sum(likely)
            expected[[0, 2].index(book), g] += share
            total[[0, 2].index(book), g] += share * frame
    counts = known.counts(frames, used)
    np.testing.assert_allclose(counts.frames.reshape(2, 3), expected, atol=1e-5)
    np.testing.assert_allclose(counts.total.reshape(2, 3, 2), total, atol=1e-5)


def test_words_that_were_heard_tell_the_noise(adapter, model):
    """Frames drawn from pdfs in a noise: who knows the pdfs comes nearer to it."""
    rng = np.random.default_rng(11)
    truth = surroundings(rng, 55.0)
    pdfs = np.repeat(model.hmm_pdfs[: len(model.phones), 1], 8)
    books = model.densities.codebook[pdfs]
    moved, _ = adapter._gaussians(books).in_noise(truth, TRANSFORM, INVERSE)
    weights = model.densities.weights[0][:, pdfs].T
    chosen = np.array([rng.choice(len(w), p=w / w.sum()) for w in np.float64(weights)])
    chosen += np.arange(len(pdfs)) * weights.shape[1]
    frames = rng.normal(moved.means[chosen], np.sqrt(moved.variances[chosen]))
    wrong = replace(truth, noise=truth.noise + rng.normal(0, 5, 13))
    found = adapter.heard(frames, wrong, pdfs, np.ones(len(pdfs)))
    assert np.abs(found.noise - truth.noise).mean() < 0.5 * np.abs(wrong.noise - truth.noise).mean()
    unsure = adapter.heard(frames, wrong, pdfs, np.zeros(len(pdfs)))
    np.testing.assert_allclose(unsure.noise, wrong.noise)


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


def test_a_second_round_hears_the_first(model):
    samples, rate = read_audio(SOUND, sample_rate=16000)
    hiss = np.random.default_rng(5).normal(0, 0.03, len(samples)).astype(np.float32)
    plain, grammar = replace(COMMANDS, background=None), ROOT / "lm" / "smart_home.yaml"
    once, twice = (
        Recognizer.load("en-us", grammar=grammar, options=replace(plain, noise=noise))
        for noise in (NoiseOptions(rounds=1), NoiseOptions(rounds=2))
    )  # fmt: skip
    first, second = (each.transcribe(samples + hiss, sample_rate=rate) for each in (once, twice))
    assert first.text == second.text == "turn on the kitchen light"
    assert second.lattice.path.cost < first.lattice.path.cost


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
    bent = replace(model.features, normalisation="variance", reference=((0.0,) * 13,))
    with pytest.raises(OptionError, match="normalisation 'variance' bends cepstra"):
        NoiseAdapter(replace(model, features=bent))
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
        ({"rounds": 0}, "rounds is 0, must be at least 1"),
        ({"clean": float("nan")}, "clean is no number"),
        ({"stride": 0}, "stride is 0"),
        ({"trust": 0.0}, "trust is 0.0, must be above 0"),
        ({"delta_trust": 0.0}, "delta_trust is 0.0, must be above 0"),
        ({"kinds": 0}, "kinds is 0, must be at least 1"),
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
