"""How far speech stands above noise, told from the mixture alone."""

import numpy as np
import pytest

from factored_asr.audio.mixing import add_noise
from factored_asr.audio.reading import read_audio
from factored_asr.errors import OptionError
from factored_asr.features import FrontEnd
from factored_asr.features.snr import LEAST, MOST, cepstral_levels, estimate_snr
from factored_asr.features.voice import LevelStream
from factored_asr.models.en_us import pocketsphinx_model_path
from factored_asr.models.importers.sphinx import read_sphinx_model

RATE = 16000


@pytest.fixture(scope="module")
def speech(audio_dir):
    samples, _ = read_audio(audio_dir / "kitchen_light_on.wav", sample_rate=RATE)
    pause = np.zeros(RATE, np.float32)
    return np.concatenate([pause, samples, pause])


def told(samples):
    return estimate_snr(LevelStream(RATE).accept(samples))


def in_hiss(speech, snr, seed):
    hiss = np.random.default_rng(seed).normal(0, 0.1, len(speech)).astype(np.float32)
    return add_noise(speech, hiss, snr)


def test_more_noise_is_a_lower_ratio(speech):
    for seed in range(3):
        ratios = [told(in_hiss(speech, snr, seed)) for snr in (30, 24, 18, 12, 6)]
        assert ratios == sorted(ratios, reverse=True)
        assert np.diff(ratios).max() < -2  # of 6 dB each


def test_known_levels_are_found():
    rng = np.random.default_rng(1)
    for distance in (10.0, 20.0, 35.0):
        levels = np.append(rng.normal(-70, 2, 400), rng.normal(-70 + distance, 4, 200))
        wanted = 10 * np.log10(10 ** (distance / 10) - 1)
        assert estimate_snr(levels) == pytest.approx(wanted, abs=1.5)


def test_loudness_does_not_matter(speech):
    mixed = in_hiss(speech, 12, 0)
    assert told(mixed / 8) == pytest.approx(told(mixed), abs=1.0)


def test_noise_alone_has_hardly_any_speech():
    hiss = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    assert told(hiss) < 5


def test_digital_silence_has_no_noise():
    assert estimate_snr(np.full(100, -100.0)) == MOST
    assert estimate_snr(np.zeros(0)) == MOST
    assert LEAST <= told(np.zeros(RATE, np.float32)) <= MOST


def test_cepstra_tell_it_as_well(speech):
    features = read_sphinx_model(pocketsphinx_model_path() / "en-us").features
    front_end = FrontEnd(features)
    ratios = [
        estimate_snr(cepstral_levels(front_end.cepstra(in_hiss(speech, snr, 0)), features))
        for snr in (30, 20, 10)
    ]
    assert ratios[0] > ratios[1] + 3 > ratios[2] + 6


@pytest.mark.parametrize("levels", [[np.nan] * 20, [[1.0, 2.0]]])
def test_levels_must_be_numbers_in_a_row(levels):
    with pytest.raises(OptionError, match="finite and of one dimension"):
        estimate_snr(np.array(levels))
