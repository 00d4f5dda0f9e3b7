"""Noise tracked and taken off the power spectrum: stationary, rising, under speech, in pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.enhancement import LEAST_GAIN, Enhancer, NoiseTracker, _log_gain

KINDS = ("subtraction", "wiener", "log_mmse")
LEVEL = 100.0


def hiss(n_frames: int, n_bins: int = 64, seed: int = 0) -> np.ndarray:
    """Powers of white noise of mean LEVEL: exponential, as those of Gaussian samples."""
    return np.random.default_rng(seed).exponential(LEVEL, (n_frames, n_bins))


def decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power / LEVEL)


def tracked(powers: np.ndarray) -> np.ndarray:
    """The noise after each frame, (n_frames, n_bins)."""
    tracker, found = NoiseTracker(powers.shape[1]), []
    for power in powers:
        tracker(power)
        found.append(tracker.noise)
    return np.array(found)


def test_steady_noise_is_tracked_within_a_decibel():
    noise = tracked(hiss(400))[200:]
    assert abs(decibels(noise).mean()) < 1.0
    assert abs(decibels(noise.mean(axis=0))).max() < 3.0


def test_noise_that_rises_is_found_within_three_seconds():
    powers = hiss(800)
    powers[300:] *= 10.0
    noise = decibels(tracked(powers).mean(axis=1))
    assert abs(noise[280]) < 1.0 and abs(noise[600:].mean() - 10.0) < 1.5


def test_syllables_are_not_taken_for_noise():
    """Bursts 20 dB above the noise, a third of the time: the noise stays where it was.

    Smoothed power needs some 0.4 s to fall from speech; until then the noise stands still.
    """
    powers = hiss(600)
    phase = np.arange(600) % 120
    spoken, fallen = phase < 40, phase > 100
    powers[spoken] += 100 * hiss(spoken.sum(), seed=1)
    assert abs(decibels(tracked(powers)[300:].mean())) < 3.0
    tracker = NoiseTracker(64)
    presence = np.array([tracker(power).mean() for power in powers])
    assert presence[300:][spoken[300:]].mean() > 0.9 > 0.4 > presence[300:][fallen[300:]].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_alone_loses_power_and_speech_keeps_it(kind):
    powers = hiss(400)
    spoken = np.arange(400) % 40 >= 30
    powers[spoken] += 1000 * LEVEL
    gains = (Enhancer(64, kind)(powers) / powers)[200:]
    assert (gains >= LEAST_GAIN * (1 - 1e-9)).all() and (gains <= 1).all()
    assert gains[~spoken[200:]].mean() < 0.25 and gains[spoken[200:]][2:].mean() > 0.8


def test_the_gain_of_the_logarithm_is_the_integral_of_its_paper():
    before, after = np.array([0.05, 1.0, 20.0]), np.array([1.5, 1.0, 30.0])
    v = before / (1 + before) * after
    expected = [
        x / (1 + x) * np.exp(0.5 * quad(lambda t: np.exp(-t) / t, lower, np.inf)[0])
        for x, lower in zip(before, v, strict=True)
    ]
    np.testing.assert_allclose(_log_gain(before, after), np.minimum(expected, 1.0), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_give_what_the_whole_gives(kind):
    powers, enhancer = hiss(100), Enhancer(64, kind)
    pieces = [enhancer(powers[at : at + 7]) for at in range(0, 100, 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), Enhancer(64, kind)(powers))


@pytest.mark.parametrize("kind", KINDS)
def test_a_front_end_with_it_streams(kind):
    options = FeatureOptions(enhancement=kind, remove_noise=False, normalisation="none")
    front_end, rng = FrontEnd(options), np.random.default_rng(2)
    samples = rng.normal(0, 0.01, 16000).astype(np.float32)
    samples[6000:9000] += 0.3 * np.sin(np.arange(3000))
    stream = front_end.stream()
    pieces = [stream.accept(samples[at : at + 331]) for at in range(0, 16000, 331)]
    whole = front_end.features(samples)
    np.testing.assert_allclose(np.concatenate([*pieces, stream.finish()]), whole, atol=1e-4)
    plain = FrontEnd(replace(options, enhancement="none")).features(samples)
    assert whole[20:35, 0].mean() < plain[20:35, 0].mean() - 5  # the hiss before the tone


def test_digital_silence_stays_a_number():
    for kind in KINDS:
        assert np.isfinite(Enhancer(3, kind)(np.zeros((5, 3)))).all()


def test_an_unknown_kind():
    with pytest.raises(OptionError, match="enhancement 'magic' has no gain"):
        Enhancer(3, "magic")
    with pytest.raises(OptionError, match="enhancement is 'magic', must be one of none, sub"):
        FeatureOptions(enhancement="magic")
