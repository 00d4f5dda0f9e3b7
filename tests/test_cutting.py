"""Long recordings: what is heard in their pieces is what is heard in each clip for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factored_asr.audio.reading import read_audio
from factored_asr.batch import CutOptions, Cutter, Piece, join, shifted
from factored_asr.errors import OptionError
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.results.formats import write
from factored_asr.results.transcript import Hypothesis, Transcript, Word
from factored_asr.understanding import Interpretation

RATE = 16000


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("en-us", grammar="lm/smart_home.yaml")


def clips(audio_dir: Path) -> list[np.ndarray]:
    names = ("kitchen_light_on.wav", "music_stop.wav", "silence.wav", "timer_ten_minutes.wav")
    return [read_audio(audio_dir / name, sample_rate=RATE)[0] for name in names]


def cut(samples: np.ndarray, options: CutOptions | None = None, block: int = RATE) -> list[Piece]:
    cutter = Cutter(RATE, options)
    blocks = range(0, len(samples), block)
    pieces = [piece for at in blocks for piece in cutter.accept(samples[at : at + block])]
    return [*pieces, *cutter.finish()]


def noise(seconds: float, level: float, seed: int = 1) -> np.ndarray:
    n = round(seconds * RATE)
    return (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def test_pieces_hold_the_words_of_the_clips_at_their_times(
    audio_dir: Path, recognizer: Recognizer
) -> None:
    sounds = clips(audio_dir) * 3
    alone = [recognizer.transcribe(sound, sample_rate=RATE) for sound in sounds]
    starts = np.cumsum([0, *(len(sound) for sound in sounds)]) / RATE
    expected = [word for said, at in zip(alone, starts, strict=False)
                for word in shifted(said, float(at)).words]
    whole = np.concatenate(sounds)
    said = join(
        [shifted(recognizer.transcribe(piece.samples, sample_rate=RATE), piece.start)
         for piece in cut(whole)], len(whole) / RATE,
    )
    assert [word.text for word in said.words] == [word.text for word in expected]
    for word, other in zip(said.words, expected, strict=True):
        assert word.start == pytest.approx(other.start, abs=0.05)
    assert said.duration == starts[-1]
    intents = [part.interpretation.intent for part in said.parts if part.interpretation]
    assert intents == [each.interpretation.intent for each in alone if each.interpretation]


@pytest.mark.parametrize("block", [777, 16000, 10**9])
def test_pieces_do_not_depend_on_how_the_sound_comes(audio_dir: Path, block: int) -> None:
    whole = np.concatenate(clips(audio_dir) * 2)
    for one, other in zip(cut(whole, block=block), cut(whole), strict=True):
        assert one.start == other.start
        np.testing.assert_array_equal(one.samples, other.samples)


def test_a_piece_is_what_the_recording_has_there(audio_dir: Path) -> None:
    whole = np.concatenate(clips(audio_dir))
    for piece in cut(whole):
        first = round(piece.start * RATE)
        np.testing.assert_array_equal(piece.samples, whole[first : first + len(piece.samples)])


def test_dictation_joins_stretches_until_a_piece_is_long_enough() -> None:
    loud, pause = noise(2, 0.1), noise(1, 1e-4)
    whole = np.concatenate([pause, loud] * 10 + [pause])
    assert len(cut(whole)) == 10
    joined = cut(whole, CutOptions(join_seconds=10))
    assert [round(len(piece.samples) / RATE) for piece in joined] == [12, 12, 6]


def test_a_long_pause_always_ends_a_piece() -> None:
    whole = np.concatenate([noise(1, 1e-4), noise(2, 0.1), noise(4, 1e-4), noise(2, 0.1)])
    assert len(cut(whole, CutOptions(join_seconds=20))) == 2


def test_speech_without_a_pause_is_cut_at_its_quietest_place() -> None:
    whole = noise(30, 0.1)
    whole[: RATE] *= 0.01
    for at in (6.5, 13.0):  # a short dip is no pause
        whole[round(at * RATE) : round((at + 0.08) * RATE)] *= 0.1
    pieces = cut(whole, CutOptions(max_seconds=10))
    ends = [piece.start + len(piece.samples) / RATE for piece in pieces]
    assert ends[0] == pytest.approx(6.54, abs=0.06)
    assert ends[1] == pytest.approx(13.04, abs=0.06)
    assert all(len(piece.samples) <= 10 * RATE for piece in pieces)
    assert [piece.start for piece in pieces[1:]] == pytest.approx(ends[:-1])  # nothing is lost


def test_a_cutter_holds_no_more_than_a_piece() -> None:
    cutter = Cutter(RATE, CutOptions(max_seconds=10))
    for number in range(120):
        cutter.accept(noise(1, 0.1 if number % 50 else 1e-4, number))
        held = sum(v.nbytes for v in vars(cutter).values() if isinstance(v, np.ndarray))
        assert held < 4 * RATE * 16


def test_an_empty_recording_has_no_pieces() -> None:
    assert cut(np.zeros(10 * RATE, np.float32)) == []
    assert Cutter(RATE).finish() == []


def test_a_shift_moves_all_times() -> None:
    word = Word("yes", 0.25, 0.5, phone_ends=(0.3, 0.5))
    said = Transcript((word,), 1.0, alternatives=(Hypothesis((word,), 1.0),))
    moved = shifted(join([said], 1.0), 2.0)
    for each in (moved.words[0], moved.parts[0].words[0], moved.parts[0].alternatives[0].words[0]):
        assert (each.start, each.end, each.phone_ends) == (2.25, 2.5, (2.3, 2.5))
    assert moved.parts[0].start == 2.0 and said.words[0].start == 0.25


def test_a_join_is_as_sure_as_all_its_parts() -> None:
    parts = [Transcript((Word("a", 0, 1),), 1.0, 0.5), Transcript((Word("b", 2, 3),), 1.0, 0.4)]
    assert join(parts, 4.0).confidence == pytest.approx(0.2)
    assert join([*parts, Transcript((Word("c", 3, 4),))], 5.0).confidence is None


def test_a_join_without_words_has_the_reason_of_its_parts() -> None:
    assert join([], 9.0).reason == "no speech"
    assert join([Transcript(reason="no command")], 9.0).reason == "no command"


def test_parts_go_into_json_and_stm() -> None:
    meaning = Interpretation("Confirm", {}, "yes", 1.0)
    part = Transcript((Word("yes", 70.0, 70.5),), 1.0, interpretation=meaning, start=69.5)
    said = join([part], 100.0)
    assert Transcript.from_json(said.to_json()) == said
    assert write(said, "stm", "call.wav") == "call 1 unknown 69.500 70.500 yes"


def test_impossible_cuts_are_refused() -> None:
    with pytest.raises(OptionError, match="max_seconds of at least 2"):
        CutOptions(max_seconds=1)
    with pytest.raises(OptionError, match="join_seconds must lie in"):
        CutOptions(join_seconds=31)
