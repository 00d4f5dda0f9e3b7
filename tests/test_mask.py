"""The learnt mask: what it leaves of noise and of speech, in pieces, learnt, written and read."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from factored_asr.audio.mixing import add_noise
from factored_asr.audio.reading import read_audio
from factored_asr.errors import FormatError, OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.mask import (
    AROUND,
    FLOOR,
    LOG_FLOOR,
    MaskStream,
    RunningLogs,
    SpeechMask,
    mask_of,
    windows,
)
from factored_asr.training.mask import MaskOptions, _Learner, learn_mask

MASKED = FeatureOptions(enhancement="mask", normalisation="none")
PLAIN = FeatureOptions(normalisation="none")


@pytest.fixture(scope="module")
def speech(audio_dir: Path) -> np.ndarray:
    return read_audio(audio_dir / "kitchen_light_on.wav", sample_rate=16000)[0]


def clatter(n_samples: int, seed: int = 0) -> np.ndarray:
    """Damped high tones, five a second."""
    rng, times = np.random.default_rng(seed), np.arange(4000) / 16000
    sound = 0.001 * rng.normal(size=n_samples + 4000)
    for at in rng.integers(0, n_samples, 5 * n_samples // 16000):
        tones = np.sin(2 * np.pi * np.outer(rng.uniform(1000, 6000, 5), times))
        sound[at : at + 4000] += rng.lognormal() * (tones * np.exp(-times / 0.03)).sum(axis=0)
    return sound[:n_samples]


def shares_of(samples: np.ndarray) -> np.ndarray:
    """What the shipped mask leaves of each frame's bands."""
    spectra, powers = FrontEnd(PLAIN).powers(samples)
    mask = MaskStream(mask_of())
    return np.concatenate([mask.accept(spectra, powers), mask.finish()]) / powers


@pytest.mark.parametrize("kind", ["clatter", "hiss"])
def test_the_mask_of_tells_speech_from_noise(speech, kind):
    """Bands that are mostly speech are kept, those that are mostly noise are not."""
    rng = np.random.default_rng(1)
    noise = clatter(len(speech)) if kind == "clatter" else rng.normal(size=len(speech))
    noisy = add_noise(speech, noise, 6.0)
    alone = speech * (noisy @ speech) / (speech @ speech)
    clean, rest = (FrontEnd(PLAIN).powers(part)[1] for part in (alone, noisy - alone))
    share, found = clean / (clean + rest), shares_of(noisy)
    assert found[share > 0.8].mean() - found[share < 0.2].mean() > 0.35


def test_clean_speech_is_left_alone_and_noise_alone_is_not(speech):
    powers = FrontEnd(PLAIN).powers(speech)[1].sum(axis=1)
    assert np.median(shares_of(speech)[powers > 0.05 * powers.max()]) > 0.9
    assert np.median(shares_of(0.1 * clatter(48000).astype(np.float32))) < 0.3


@pytest.mark.parametrize("size", [1, 331, 5000])
def test_pieces_give_what_the_whole_gives(speech, size):
    front_end = FrontEnd(MASKED)
    stream, some = front_end.stream(), speech[:16000]
    pieces = [stream.accept(some[at : at + size]) for at in range(0, len(some), size)]
    np.testing.assert_allclose(
        np.concatenate([*pieces, stream.finish()]), front_end.features(some), atol=2e-3
    )


@pytest.mark.parametrize("n_samples", [1, 200, 500, 2000])
def test_short_sounds_have_as_many_frames_as_without(n_samples):
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    assert FrontEnd(MASKED).cepstra(samples).shape == FrontEnd(PLAIN).cepstra(samples).shape
    assert np.isfinite(FrontEnd(MASKED).cepstra(np.zeros(n_samples, np.float32))).all()


def test_nothing_falls_below_the_floor():
    spectra = np.random.default_rng(0).exponential(1e4, (50, 257))
    powers = spectra[:, :25]
    mask = MaskStream(mask_of())
    shares = np.concatenate([mask.accept(spectra, powers), mask.finish()]) / powers
    assert shares.min() >= FLOOR * (1 - 1e-9) and shares.max() <= 1


def test_other_bands_than_those_learnt_are_refused():
    with pytest.raises(OptionError, match="learnt for n_mels 25, not 40"):
        FrontEnd(FeatureOptions(enhancement="mask", n_mels=40))
    with pytest.raises(OptionError, match="sample_rate 16000, not 8000"):
        FrontEnd(FeatureOptions(enhancement="mask", sample_rate=8000, high_hz=3800))


# -------------------------------------------------------------------------------------- learning
def test_slopes_are_those_of_the_loss():
    rng = np.random.default_rng(3)
    learner = _Learner(np.ones(66, np.float32), 2, MaskOptions(hidden=5), rng)
    learner._values = [value.astype(np.float64) for value in learner._values]
    inputs = rng.normal(size=(7, len(learner._values[0])))
    shares = rng.uniform(size=(7, 2))
    found: list[np.ndarray] = []
    learner._step = lambda slopes, done: found.extend(slopes)
    learner.learn(inputs, shares, 0.5)
    for value, slope in zip(learner._values, list(found), strict=True):
        place = tuple(rng.integers(size) for size in value.shape)
        losses = []
        for change in (1e-5, -2e-5):
            value[place] += change
            losses.append(learner.learn(inputs, shares, 0.5))
        value[place] += 1e-5
        assert slope[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-3, abs=1e-8)


def test_a_tone_is_told_from_hiss(tmp_path):
    rng = np.random.default_rng(0)
    bursts = (np.arange(48000) // 4000 % 2) * np.sin(np.arange(48000) * 0.4)

    def drawn():
        for _ in repeat(None):
            yield (0.3 * bursts).astype(np.float32), rng.normal(0, 0.02, 48000).astype(np.float32)

    told = []
    mask = learn_mask(
        drawn(), MaskOptions(frames=16_000, hidden=16, batch=64, shard=2000),
        progress=lambda done, loss: told.append((done, loss)),
    )  # fmt: skip
    assert told[-1][0] >= 8000 and told[-1][1] < 0.5 * told[0][1]
    mask.save(tmp_path / "mask.npz")
    read, rows = SpeechMask.read(tmp_path / "mask.npz"), rng.normal(size=(40, 178))
    seen = windows(rows, np.arange(40 - 2 * AROUND), 25, mask.deviation)
    np.testing.assert_allclose(read.shares(seen), mask.shares(seen), atol=0.01)

    own = FeatureOptions(enhancement="mask", mask=str(tmp_path / "mask.npz"), remove_noise=False)
    speech, noise = next(drawn())
    plain, masked = (FrontEnd(options).cepstra(speech + noise)[:, 0]
                     for options in (replace(own, enhancement="none"), own))  # fmt: skip
    tone = np.arange(20, 290) // 25 % 2 == 1
    assert (plain - masked)[20:290][~tone].mean() > 3 + (plain - masked)[20:290][tone].mean()
    with pytest.raises(OptionError, match="masks 25 bands, not 40"):
        FrontEnd(replace(own, n_mels=40))


def test_running_logs_average_and_forget():
    spectra = np.full((1000, 257), np.exp(2.0) - LOG_FLOOR)
    spectra[500:] = np.exp(4.0) - LOG_FLOOR
    running = RunningLogs()
    rows = np.concatenate([running(spectra[:300], spectra[:300, :25]),
                           running(spectra[300:], spectra[300:, :25])])  # fmt: skip
    assert rows.shape == (1000, 178)
    np.testing.assert_allclose(rows[:500, 89:], 2.0)
    assert 2.9 < rows[700, 89] < 3.1 and rows[999, 89] > 3.5


def test_bad_files_and_bad_sounds(tmp_path):
    for name, content in (("empty.npz", b""), ("text.npz", b"no mask")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=r"\.npz.*no mask of speech"):
            SpeechMask.read(tmp_path / name)
    np.savez(tmp_path / "other.npz", matrix0=np.zeros((2, 2)))
    with pytest.raises(FormatError, match="no mask of speech"):
        SpeechMask.read(tmp_path / "other.npz")
    with pytest.raises(OptionError, match="no sound"):
        learn_mask([])
    with pytest.raises(OptionError, match="speech of 9 samples in noise of 8"):
        learn_mask([(np.zeros(9, np.float32), np.zeros(8, np.float32))])
    with pytest.raises(OptionError, match="hidden is 0"):
        MaskOptions(hidden=0)
