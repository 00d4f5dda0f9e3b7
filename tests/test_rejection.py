"""When a command is rejected: the background model fits too well, or a word is too long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factored_asr.errors import OptionError
from factored_asr.graph import BackgroundOptions
from factored_asr.lattice.path import NO_PATH, Path, PhoneSegment, WordSegment
from factored_asr.lattice.rejection import (
    NO_COMMAND,
    NO_SPEECH,
    Evidence,
    Margin,
    RejectionOptions,
    margin,
    rejection,
)

DEFAULTS = RejectionOptions()


def path_of(text: str, cost: float, frames: int = 10) -> Path:
    """A path of words with two phones each, every phone of so many frames."""
    words, segments = text.split(), []
    for i, word in enumerate(words):
        start = 2 * i * frames
        phones = tuple(
            PhoneSegment("AH", at, at + frames) for at in (start, start + frames)
        )
        segments.append(WordSegment(word, i + 1, start, start + 2 * frames, phones))
    return replace(
        NO_PATH, cost=cost, words=tuple(words), segments=tuple(segments), reached_final=True,
        phones=tuple(phone for each in segments for phone in each.phones),
        labels=np.ones(2 * frames * len(words), np.int32),
    )


def reason_of(path: Path, background: Path | None, in_noise: bool = False) -> str:
    evidence = Evidence(background, in_noise=in_noise)
    return str(rejection(path, evidence, frame_seconds=0.01) or "")


@pytest.mark.parametrize("text", ["stop", "stop the music", "play the radio in the kitchen"])
def test_a_command_needs_a_margin_that_grows_with_its_words(text: str) -> None:
    needed = min(DEFAULTS.clean.word * len(text.split()), DEFAULTS.clean.words)
    for ahead in (-5.0, 0.0, needed - 0.01, needed + 0.01, 50.0):
        path, background = path_of(text, 100.0), path_of("of of", 100.0 + ahead)
        assert margin(path, background) == pytest.approx(ahead - needed)
        reason = reason_of(path, background)
        assert bool(reason) == (ahead < needed)
        if reason:
            assert reason.startswith(NO_COMMAND)
            assert ("fits better" in reason) == (ahead < 0)


@pytest.mark.parametrize("frames", [5, 20])
def test_in_noise_it_needs_one_that_grows_with_its_time(frames: int) -> None:
    costs = DEFAULTS.in_noise
    for text, words in (("stop", 1), ("stop the music", 3), ("turn on the music in the hall", 7)):
        needed = min(costs.word * words, costs.words) + costs.frame * 2 * words * frames
        path = path_of(text, 100.0, frames)
        for ahead in (0.0, needed - 0.01, needed + 0.01):
            background = path_of("of of", 100.0 + ahead)
            assert margin(path, background, in_noise=True) == pytest.approx(ahead - needed)
            assert bool(reason_of(path, background, True)) == (ahead < needed)


@pytest.mark.parametrize("words", range(1, 12))
def test_in_noise_the_background_costs_more_than_the_margin(words: int) -> None:
    """A command at normal speed is accepted if the background path has the same words."""
    path = path_of(" ".join(["stop"] * words), 100.0, 15)
    costs = BackgroundOptions()
    cost = path.cost + words * (costs.word_cost + 30 * costs.frame_cost)
    assert not reason_of(path, replace(path, cost=cost), True)


def test_options_change_the_decision() -> None:
    path, background = path_of("stop", 10.0), path_of("of", 11.0)
    assert reason_of(path, background)
    none = Margin(word=0.0, words=0.0)
    assert not rejection(path, Evidence(background), RejectionOptions(clean=none), 0.01)
    assert rejection(path, Evidence(background), RejectionOptions(none, longest_phone=0.05), 0.01)
    with pytest.raises(OptionError, match="slowest_word must be above 0"):
        RejectionOptions(slowest_word=0.0)
    with pytest.raises(OptionError, match="0 or more"):
        Margin(word=-1.0, words=0.0)


def test_silence_competes_too() -> None:
    silence = replace(path_of("", 2.0), labels=np.ones(5, np.int32))
    assert reason_of(path_of("stop", 1.0), silence) == NO_SPEECH
    assert not reason_of(path_of("stop", 1.0), replace(silence, cost=100.0))


def test_without_a_background_every_command_is_accepted() -> None:
    assert margin(path_of("stop", 1.0), None) == np.inf
    assert reason_of(path_of("stop", 1.0, 500), None) == ""


def test_the_word_that_lost_is_named() -> None:
    reason = reason_of(path_of("stop the music", 100.0), path_of("stop a lot", 99.0))
    assert reason == (
        f"{NO_COMMAND}: the background model fits better: 'the' at 0.20-0.40 s fits worse than 'a'"
    )


def test_a_word_or_a_phone_may_not_last_too_long() -> None:
    quick, slow = (int(100 * DEFAULTS.slowest_word) + more for more in (-1, 1))
    for frames in (quick, slow):
        reason = reason_of(path_of("drip", 10.0, frames), path_of("of", 60.0))
        assert bool(reason) == (frames == slow)
    assert reason == f"{NO_COMMAND}: 'drip' lasts 0.8 s, more than 0.4 s a phone"
    reason = reason_of(path_of("drip", 10.0, 120), path_of("of", 60.0))
    assert reason == f"{NO_COMMAND}: phone AH lasts 1.2 s, more than 1 s"


@pytest.mark.parametrize("n_speech", [None, 0, 2, 3, 10])
def test_a_command_of_phones_that_hardly_stand_out_is_rejected(n_speech: int | None) -> None:
    path, background = path_of("stop music", 100.0), path_of("of", 200.0)
    options = replace(DEFAULTS, speech_a_phone=0.75)
    speech = None if n_speech is None else np.arange(40) < n_speech
    found = rejection(path, Evidence(background, speech=speech), options, 0.01)
    assert bool(found) == (n_speech is not None and n_speech < 3)
    assert found is None or (found.code == "little-speech" and "4 phones" in found.reason)
    assert not rejection(path, Evidence(background, speech=speech), DEFAULTS, 0.01)
    with pytest.raises(OptionError, match="speech_a_phone"):
        RejectionOptions(speech_a_phone=-1.0)
