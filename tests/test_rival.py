"""When a command is none: its rival fits too well, or nobody speaks like that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factored_asr.decoder.background import AS_IT_IS, IN_NOISE, SLOWEST, margin, misfit
from factored_asr.graph import BackgroundOptions
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.path import NO_PATH, Path, PhoneSegment, WordSegment


def said(text: str, cost: float, frames: int = 10) -> Path:
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


def beside(path: Path, rival: Path | None) -> Lattice:
    return replace(Lattice(0), path=path, rival=rival, frame_seconds=0.01)


@pytest.mark.parametrize("text", ["stop", "stop the music", "play the radio in the kitchen"])
def test_a_command_needs_a_margin_that_grows_with_its_words(text: str) -> None:
    needed = min(AS_IT_IS.word * len(text.split()), AS_IT_IS.words)
    for ahead in (-5.0, 0.0, needed - 0.01, needed + 0.01, 50.0):
        lattice = beside(said(text, 100.0), said("of of", 100.0 + ahead))
        assert margin(lattice) == pytest.approx(ahead - needed)
        assert bool(misfit(lattice)) == (ahead < needed)


@pytest.mark.parametrize("frames", [5, 20])
def test_under_a_moved_model_it_needs_one_that_grows_with_its_time(frames: int) -> None:
    for text, words in (("stop", 1), ("stop the music", 3), ("turn on the music in the hall", 7)):
        needed = min(IN_NOISE.word * words, IN_NOISE.words) + IN_NOISE.frame * 2 * words * frames
        check_margin_in_noise(said(text, 100.0, frames), needed)


def check_margin_in_noise(path: Path, needed: float) -> None:
    for ahead in (0.0, needed - 0.01, needed + 0.01):
        lattice = beside(path, said("of of", 100.0 + ahead))
        noisy = replace(lattice, in_noise=True)
        assert margin(noisy) == pytest.approx(ahead - needed)
        assert bool(misfit(noisy)) == (ahead < needed)


@pytest.mark.parametrize("words", range(1, 12))
def test_in_noise_the_background_charges_more_for_words_than_they_must_win_by(words: int) -> None:
    """Beside a background that hears the same words, a command said without haste gets through."""
    path = said(" ".join(["stop"] * words), 100.0, 15)
    costs = BackgroundOptions()
    rival = replace(path, cost=path.cost + words * (costs.word_cost + 30 * costs.frame_cost))
    assert not misfit(replace(beside(path, rival), in_noise=True))


def test_silence_is_a_rival_too() -> None:
    silent = replace(said("", 2.0), labels=np.ones(5, np.int32))
    lattice = beside(said("stop", 1.0), silent)
    assert misfit(lattice) == "no speech"
    assert not misfit(replace(lattice, rival=replace(silent, cost=100.0)))


def test_beside_nothing_everything_is_a_command() -> None:
    assert margin(beside(said("stop", 1.0), None)) == np.inf


def test_what_won_is_named() -> None:
    lattice = beside(said("stop the music", 100.0), said("stop a lot", 99.0))
    assert "'the' at 0.20-0.40 s fits worse than 'a'" in misfit(lattice)


def test_nobody_drawls_so() -> None:
    quick, slow = (int(100 * SLOWEST) + more for more in (-1, 1))
    for frames in (quick, slow):
        lattice = beside(said("drip", 10.0, frames), said("of", 60.0))
        assert bool(misfit(lattice)) == (frames == slow)
    assert "nobody takes 0.8 s for 'drip'" in misfit(lattice)
