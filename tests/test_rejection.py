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
    DenialMargin,
    Evidence,
    Margin,
    Rejection,
    RejectionOptions,
    denial_margin,
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
    denial = Evidence(background, denied=path, speech=speech)  # the path is a denial itself
    assert rejection(path, denial, options, 0.01) == found
    assert not rejection(path, Evidence(background, speech=speech), DEFAULTS, 0.01)
    with pytest.raises(OptionError, match="speech_a_phone"):
        RejectionOptions(speech_a_phone=-1.0)


def with_silence(path: Path, *spans: tuple[int, int]) -> Path:
    """The path with silences at these frames."""
    silences = tuple(PhoneSegment("SIL", start, end, True) for start, end in spans)
    return replace(path, phones=(*silences, *path.phones))


def at(path: Path, shift: int) -> Path:
    """The path, so many frames later, with silence before."""
    def moved(phones: tuple[PhoneSegment, ...]) -> tuple[PhoneSegment, ...]:
        return tuple(replace(p, start=p.start + shift, end=p.end + shift) for p in phones)

    segments = tuple(
        replace(each, start=(each.start or 0) + shift, end=(each.end or 0) + shift,
                phones=moved(each.phones)) for each in path.segments
    )
    return with_silence(replace(path, segments=segments, phones=moved(path.phones)), (0, shift))


@pytest.mark.parametrize("in_noise", [False, True])
def test_a_command_must_be_better_than_its_denial(in_noise: bool) -> None:
    needed = (DEFAULTS.denied_in_noise if in_noise else DEFAULTS.denied).cost
    path, background = path_of("stop it", 100.0), path_of("of", 150.0)
    for ahead in (needed - 0.01, needed + 0.01):
        denied = path_of("don't stop it", 100.0 + ahead)
        found = rejection(path, Evidence(background, denied, None, in_noise), DEFAULTS, 0.01)
        assert (found is not None) == (ahead < needed)
    assert rejection(path, Evidence(background, replace(NO_PATH)), DEFAULTS, 0.01) is None
    denied = path_of("don't stop it", 100.5)
    found = rejection(path, Evidence(background, denied), DEFAULTS, 0.01)
    assert found is not None and found.code == "denied" and found.nearest == "stop it"
    assert found.margin == pytest.approx(0.5 - DEFAULTS.denied.cost)
    assert "'don't stop it' fits nearly as well as 'stop it'" in str(found)
    lenient = replace(DEFAULTS, strictness=0.0)
    assert rejection(path, Evidence(background, denied), lenient, 0.01) is None


def test_a_denial_that_wins_is_no_reason_to_reject_it() -> None:
    denied = path_of("don't stop it", 100.0)
    assert rejection(denied, Evidence(path_of("of", 150.0), denied), DEFAULTS, 0.01) is None


def test_speech_that_only_the_denial_has_words_for_counts_against_the_command() -> None:
    options = replace(DEFAULTS, denied=DenialMargin(cost=1.0, speech=0.1))
    path = at(path_of("stop it", 100.0), 30)
    denied = at(path_of("stop it", 103.0), 30)
    denied = replace(denied, phones=denied.phones[1:])  # no silence before the command
    speech = np.zeros(100, np.bool_)
    assert denial_margin(path, Evidence(None, denied, speech), options) == pytest.approx(2.0)
    speech[5:30] = True
    assert denial_margin(path, Evidence(None, denied, speech), options) == pytest.approx(-0.5)
    assert denial_margin(denied, Evidence(None, path, speech), options) == pytest.approx(-4.0)


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_speech_outside_the_words_rejects_a_command(place: str) -> None:
    whole = path_of("stop it now", 100.0)
    words, n = whole.segments, whole.n_frames
    path, start = {
        "before": (at(whole, 100), 30), "after": (with_silence(whole, (n, n + 100)), n + 20),
        "between": (with_silence(replace(
            whole, segments=(words[0], words[2]), phones=words[0].phones + words[2].phones
        ), (20, 40)), 20),
    }[place]
    speech = np.zeros(300, np.bool_)
    limit = 0.15
    options = replace(DEFAULTS, speech_outside=limit)
    for frames in (14, 17):
        speech[start : start + frames] = True
        found = rejection(path, Evidence(path_of("of", 150.0), None, speech), options, 0.01)
        assert (found is not None) == (frames > 15), place
    assert found is not None and found.code == "speech-outside"
    assert found.times == ((pytest.approx(start / 100), pytest.approx((start + 17) / 100)),)
    twice = replace(options, strictness=0.5)
    assert rejection(path, Evidence(path_of("of", 150.0), None, speech), twice, 0.01) is None
    loud = Evidence(path_of("of", 150.0), None, speech, in_noise=True)  # noise is marked, too
    assert rejection(path, loud, options, 0.01) is None


def test_a_rejection_is_plain_data() -> None:
    told = Rejection("denied", "it may be denied", "stop it", -1.5, ((0.25, 0.5),))
    assert Rejection.from_dict(told.to_dict()) == told and str(told) == told.reason
    assert Rejection("no-speech", "no speech", margin=-np.inf).to_dict()["margin"] is None
    with pytest.raises(OptionError, match="strictness"):
        RejectionOptions(strictness=-1.0)
    with pytest.raises(OptionError, match="finite"):
        DenialMargin(cost=np.inf)
