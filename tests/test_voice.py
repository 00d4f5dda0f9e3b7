"""Voice activity: words are found at any loudness, steady noise is silence, memory stays small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factored_asr.audio.reading import read_audio
from factored_asr.errors import OptionError
from factored_asr.features.voice import LevelStream, VoiceOptions, VoiceStream
from factored_asr.results.transcript import Word

RATE = 16000
SHARP = VoiceOptions(before=0.05, after=0.05)


def voice_frames(levels: np.ndarray, options: VoiceOptions | None = None) -> np.ndarray:
    """Mark the frames of a whole sound that hold speech."""
    stream = VoiceStream(options)
    return np.concatenate([stream.accept(levels), stream.finish()])


def levels_of(samples: np.ndarray) -> np.ndarray:
    return LevelStream(RATE).accept(samples.astype(np.float32))


def bursts(noise: float, loud: float, seed: int = 1, n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """A second of noise, half a second of something louder, n times; and where that is."""
    generator = np.random.default_rng(seed)
    scale = np.full(n * 150, noise)
    truth = np.arange(n * 150) % 150 >= 100
    scale[truth] = loud
    return np.repeat(scale, RATE // 100) * generator.standard_normal(n * 150 * 160), truth


@pytest.mark.parametrize("noise", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("decibels", [12, 20, 40])
def test_speech_is_what_stands_out_of_noise(noise: float, decibels: float) -> None:
    samples, truth = bursts(noise, noise * 10 ** (decibels / 20))
    speech = voice_frames(levels_of(samples), SHARP)
    around = np.convolve(truth, np.ones(15), mode="same") > 0
    assert speech[truth].all() and not speech[~around].any()


def test_steady_noise_and_digital_silence_hold_no_speech() -> None:
    generator = np.random.default_rng(2)
    for samples in (np.zeros(80000), 0.1 * generator.standard_normal(80000),
                    0.3 * np.sin(np.arange(80000) * 0.05)):
        assert not voice_frames(levels_of(samples)).any()


def test_it_follows_a_room_that_becomes_louder() -> None:
    quiet, truth = bursts(1e-4, 1e-2)
    loud, _ = bursts(1e-2, 0.2, n=30)
    speech = voice_frames(levels_of(np.concatenate([quiet, loud])), SHARP)
    settled = slice(-len(truth), None)  # after half a minute in the louder room
    assert speech[settled][truth].mean() > 0.99
    assert speech[settled][~truth].mean() < 0.2


def test_an_offset_and_a_click_are_no_speech() -> None:
    noise = 1e-3 * np.random.default_rng(3).standard_normal(RATE * 10)
    noise[50000:50200] = 0.9
    assert not voice_frames(levels_of(noise + 0.3)).any()


def test_words_of_a_recording_are_found(audio_dir, recognizer_words) -> None:
    for name, words in recognizer_words.items():
        samples, _ = read_audio(audio_dir / name, sample_rate=RATE)
        speech = voice_frames(levels_of(samples))
        for word in words:
            assert speech[round(word.start * 100) : round(word.end * 100)].all(), (name, word)


@pytest.fixture(scope="module")
def recognizer_words(audio_dir) -> dict[str, tuple[Word, ...]]:
    from factored_asr.recognizer.recognizer import Recognizer

    recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    names = ("kitchen_light_on.wav", "timer_ten_minutes.wav", "heating_twenty_one.wav")
    return {name: recognizer.transcribe(audio_dir / name).words for name in names}


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=12), st.integers(0, 5))
def test_decisions_do_not_depend_on_how_the_sound_comes(sizes: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    levels = np.where(generator.random(sum(sizes)) < 0.3, -20.0, -60.0)
    levels += generator.standard_normal(len(levels))
    stream = VoiceStream()
    parts = [stream.accept(part) for part in np.split(levels, np.cumsum(sizes)[:-1])]
    streamed = np.concatenate([*parts, stream.finish()])
    np.testing.assert_array_equal(streamed, voice_frames(levels))
    assert len(streamed) == len(levels)


@settings(deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=10))
def test_levels_do_not_depend_on_how_the_samples_come(sizes: list[int]) -> None:
    samples = np.random.default_rng(4).standard_normal(sum(sizes)).astype(np.float32)
    stream = LevelStream(RATE)
    parts = [stream.accept(part) for part in np.split(samples, np.cumsum(sizes)[:-1])]
    np.testing.assert_array_equal(np.concatenate(parts), LevelStream(RATE).accept(samples))
    assert sum(map(len, parts)) == len(samples) // 160


def test_a_stream_stays_small() -> None:
    stream = VoiceStream()
    for _ in range(600):
        stream.accept(np.random.default_rng(5).normal(-50, 10, 100))
    held = sum(v.nbytes for v in vars(stream).values() if isinstance(v, np.ndarray))
    assert held < 10_000


def test_bad_options_and_levels_are_refused() -> None:
    with pytest.raises(OptionError, match="must not be negative"):
        VoiceOptions(before=-1)
    with pytest.raises(OptionError, match="levels must be finite"):
        voice_frames(np.array([np.nan]))
