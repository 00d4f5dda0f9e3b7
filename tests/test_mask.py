"""The trained mask: what it leaves of noise and of speech, in pieces, trained, written and read."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
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
from factored_asr.features.mel import cepstral_transform

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


def test_other_bands_than_those_of_the_training_are_refused():
    with pytest.raises(OptionError, match="trained for n_mels 25, not 40"):
        FrontEnd(FeatureOptions(enhancement="mask", n_mels=40))
    with pytest.raises(OptionError, match="sample_rate 16000, not 8000"):
        FrontEnd(FeatureOptions(enhancement="mask", sample_rate=8000, high_hz=3800))


# -------------------------------------------------------------------------------------- training
@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch):
    """tests/bench/mask_training.py."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "bench")
    return importlib.import_module("mask_training")


def tone_in_hiss():
    """A tone in bursts, and hiss."""
    rng = np.random.default_rng(0)
    bursts = (np.arange(48000) // 4000 % 2) * np.sin(np.arange(48000) * 0.4)
    while True:
        yield (0.3 * bursts).astype(np.float32), rng.normal(0, 0.02, 48000).astype(np.float32)


def test_an_exported_network_gives_the_shares_of_torch(training, tmp_path):
    """Forward pass of torch's linear layers, x W^T + b, number by number; then written and read."""
    rng = np.random.default_rng(3)
    sizes = (25 * 17 + 64 * 3, 7, 5, 25)
    parameters = [
        array.astype(np.float32)
        for before, after in itertools.pairwise(sizes)
        for array in (rng.normal(0, before**-0.5, (after, before)), rng.normal(size=after))
    ]
    deviation = rng.uniform(1, 2, 89)
    mask = training.exported(parameters, deviation)
    inputs = rng.normal(size=(6, sizes[0])).astype(np.float32)
    for frame, share in zip(inputs, mask.shares(inputs), strict=True):
        values = frame.astype(np.float64)
        for layer in range(3):
            weight, bias = parameters[2 * layer], parameters[2 * layer + 1]
            values = np.array([row @ values for row in weight]) + bias
            if layer < 2:
                values[values < 0] = 0
        np.testing.assert_allclose(share, 1 / (1 + np.exp(-values)), atol=1e-5)

    mask.save(tmp_path / "mask.npz")
    read, rows = SpeechMask.read(tmp_path / "mask.npz"), rng.normal(size=(40, 178))
    seen = windows(rows, np.arange(40 - 2 * AROUND), 25, mask.deviation)
    np.testing.assert_allclose(read.shares(seen), mask.shares(seen), atol=0.01)
    own = FeatureOptions(enhancement="mask", mask=str(tmp_path / "mask.npz"))
    assert FrontEnd(own).cepstra(np.zeros(16000)).shape == (99, 13)
    with pytest.raises(OptionError, match="masks 25 bands, not 40"):
        FrontEnd(replace(own, n_mels=40))


def test_a_mask_takes_its_share_off_every_band(training, speech, tmp_path):
    """A network that says 1/4 of everything lowers the logarithms of all bands by log 4."""
    parameters = [np.zeros(size, np.float32) for size in ((4, 617), 4, (4, 4), 4, (25, 4))]
    mask = training.exported([*parameters, np.full(25, np.log(1 / 3))], np.ones(89))
    mask.save(tmp_path / "mask.npz")
    own = FeatureOptions(enhancement="mask", mask=str(tmp_path / "mask.npz"), remove_noise=False)
    shift = np.full(25, -np.log(4)) @ cepstral_transform(own)
    hiss = np.random.default_rng(0).normal(0, 0.01, len(speech))  # above the floor of the logarithm
    plain, masked = (FrontEnd(options).cepstra(speech + hiss)
                     for options in (replace(own, enhancement="none"), own))  # fmt: skip
    np.testing.assert_allclose(masked - plain, np.tile(shift, (len(plain), 1)), atol=0.01)


def test_shards_hold_inputs_targets_and_windows(training):
    options = training.MaskOptions(frames=1000, shard=400)
    found = list(training.shards(tone_in_hiss(), FrontEnd(PLAIN), options))
    speech, noise = next(tone_in_hiss())
    clean, rest = (FrontEnd(PLAIN).powers(part)[1] for part in (speech, noise))
    n_frames = len(clean)
    assert [len(first) for *_, first in found] == [2 * n_frames, 2 * n_frames]
    for rows, shares, first in found:
        assert rows.shape == (2 * (n_frames + 2 * AROUND), 178) and shares.shape == (len(rows), 25)
        assert np.isfinite(windows(rows, first, 25, training.deviation_of(rows))).all()
    _, shares, first = found[0]
    exact = (clean + training.POWER_FLOOR) / (clean + rest + 2 * training.POWER_FLOOR)
    np.testing.assert_allclose(shares[first[:n_frames] + AROUND], exact, rtol=1e-6)
    assert [round(training.step_share(done), 3) for done in (0.0, 0.05, 0.1, 0.5, 1.0)] == [
        0.0, 0.497, 0.976, 0.5, 0.0
    ]  # fmt: skip


def test_a_tone_is_told_from_hiss(training):
    pytest.importorskip("torch")
    told = []
    options = training.MaskOptions(frames=16_000, hidden=16, batch=64, shard=2000)
    mask = training.train_mask(
        tone_in_hiss(), options, progress=lambda done, loss: told.append((done, loss))
    )
    assert told[-1][0] >= 8000 and told[-1][1] < 0.5 * told[0][1]
    speech, noise = next(tone_in_hiss())
    spectra, powers = FrontEnd(PLAIN).powers(speech + noise)
    stream = MaskStream(mask)
    left = np.concatenate([stream.accept(spectra, powers), stream.finish()])
    lost = (np.log(powers) - np.log(left)).mean(axis=1)
    tone = np.arange(20, 290) // 25 % 2 == 1
    assert lost[20:290][~tone].mean() > 0.5 + lost[20:290][tone].mean()


def test_running_logs_average_and_forget():
    spectra = np.full((1000, 257), np.exp(2.0) - LOG_FLOOR)
    spectra[500:] = np.exp(4.0) - LOG_FLOOR
    running = RunningLogs()
    rows = np.concatenate([running(spectra[:300], spectra[:300, :25]),
                           running(spectra[300:], spectra[300:, :25])])  # fmt: skip
    assert rows.shape == (1000, 178)
    np.testing.assert_allclose(rows[:500, 89:], 2.0)
    assert 2.9 < rows[700, 89] < 3.1 and rows[999, 89] > 3.5


def test_bad_files_and_bad_sounds(training, tmp_path):
    for name, content in (("empty.npz", b""), ("text.npz", b"no mask")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=r"\.npz.*no mask of speech"):
            SpeechMask.read(tmp_path / name)
    np.savez(tmp_path / "other.npz", matrix0=np.zeros((2, 2)))
    with pytest.raises(FormatError, match="no mask of speech"):
        SpeechMask.read(tmp_path / "other.npz")
    pair = np.zeros(9, np.float32), np.zeros(8, np.float32)
    with pytest.raises(OptionError, match="speech of 9 samples in noise of 8"):
        next(training.shards([pair], FrontEnd(PLAIN), training.MaskOptions()))
    with pytest.raises(OptionError, match="hidden is 0"):
        training.MaskOptions(hidden=0)
