"""Several noises in one sound: found again where they were drawn, and summed number by number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factored_asr.acoustic.gmm.mixtures import TiedMixtures
from factored_asr.acoustic.gmm.noise_adaptation import NoiseAdapter, NoiseOptions
from factored_asr.acoustic.gmm.noise_kinds import divide, under_all
from factored_asr.acoustic.gmm.noise_mixing import Surroundings
from factored_asr.features import FrontEnd
from factored_asr.models.importers.sphinx import pocketsphinx_model_path, read_sphinx_model

LEVEL = np.eye(13)[0]


@pytest.fixture(scope="module")
def model():
    return read_sphinx_model(pocketsphinx_model_path() / "en-us")


@pytest.fixture(scope="module")
def adapter(model):
    return NoiseAdapter(model, model.hmm_pdfs[: len(model.phones)].ravel(), NoiseOptions(kinds=2))


def drawn(adapter: NoiseAdapter, around: Surroundings, n_frames: int, seed: int) -> np.ndarray:
    """Frames of speech and silence in one noise."""
    rng, shares = np.random.default_rng(seed), adapter._shares
    moved, _ = adapter._groups.in_noise(around, adapter._transform, adapter._inverse)
    chosen = rng.choice(len(shares), n_frames, p=shares / shares.sum())
    return rng.normal(moved.means[chosen], np.sqrt(moved.variances[chosen]))


@pytest.fixture(scope="module")
def hum_and_clatter(adapter):
    """Frames in a hum and in a louder, brighter noise, and those of noise alone."""
    hum = Surroundings(65.0 * LEVEL, 40.0 * LEVEL - 5.0 * np.eye(13)[1], np.full(13, 9.0))
    clatter = replace(hum, noise=58.0 * LEVEL + 6.0 * np.eye(13)[1])
    rng = np.random.default_rng(5)
    frames = np.concatenate([drawn(adapter, hum, 900, 1), drawn(adapter, clatter, 300, 2)])
    quiet = [rng.normal(around.noise, 3.0, (n, 13)) for around, n in ((hum, 300), (clatter, 100))]
    return hum, clatter, frames, np.concatenate(quiet)


def test_two_noises_are_found_again(adapter, hum_and_clatter):
    hum, clatter, frames, quiet = hum_and_clatter
    one = Surroundings(hum.channel, quiet.mean(axis=0), quiet.var(axis=0))
    found = sorted(divide(frames, quiet, one, adapter._prior, 2), key=lambda n: n.around.noise[0])
    assert sum(noise.share for noise in found) == pytest.approx(1.0)
    assert found[0].share > found[1].share
    for noise, true in zip(found, (hum, clatter), strict=True):
        np.testing.assert_allclose(noise.around.noise, true.noise, atol=5.0)
        np.testing.assert_array_equal(noise.around.channel, true.channel)


def test_a_sound_with_few_frames_of_noise_has_one(adapter, hum_and_clatter):
    hum, _, frames, quiet = hum_and_clatter
    assert [noise.share for noise in divide(frames, quiet[:15], hum, adapter._prior, 2)] == [1.0]


def test_densities_under_all_noises_number_by_number():
    rng = np.random.default_rng(0)

    def densities() -> TiedMixtures:
        return TiedMixtures(rng.normal(0, 1, (2, 3, 4)), rng.uniform(1, 2, (2, 3, 4)),
                            np.full((1, 3, 5), 1 / 3), [0, 0, 1, 1, 1])  # fmt: skip

    moved, shares, frames = [densities(), densities()], [0.7, 0.3], rng.normal(0, 1, (6, 4))
    scores = [part.scorer()(frames) for part in moved]
    expected = np.logaddexp(np.log(0.7) + scores[0], np.log(0.3) + scores[1])
    np.testing.assert_allclose(under_all(moved, shares).scorer()(frames), expected, atol=1e-5)


def test_frames_in_two_noises_fit_better(model, adapter):
    """A voice in hiss with bursts of another colour: where nobody speaks, two noises explain it."""
    rng, front_end = np.random.default_rng(7), FrontEnd(model.features)
    samples = rng.normal(0, 0.003, 64000)
    samples[28000:40000] += 0.2 * np.sin(0.2 * np.arange(12000)) * rng.normal(0, 1, 12000)
    for begin in range(2000, 62000, 4000):
        samples[begin : begin + 1600] += np.diff(rng.normal(0, 0.015, 1601))
    cepstra = front_end.cepstra(samples)
    features = front_end.features_from_cepstra(cepstra)[:170]
    silence = model.hmm_pdfs[model.phones.index(model.silence)]
    one = NoiseAdapter(model, model.hmm_pdfs[: len(model.phones)].ravel())
    scores = [
        each.scorer(cepstra)(features)[:, silence[silence >= 0]].max(axis=1).mean()
        for each in (one, adapter)
    ]
    assert len(adapter.noises(cepstra, adapter.estimate(cepstra))) == 2
    assert scores[1] > scores[0] + 0.3


def test_silence_alone_has_one_noise(adapter):
    alike = np.tile(60.0 * LEVEL, (50, 1))
    assert len(adapter.noises(alike, adapter.estimate(alike))) == 1
