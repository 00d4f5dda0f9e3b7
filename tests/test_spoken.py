"""The spoken dialogues of tests/data/spoken: complete, and right as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import spoken

from factored_asr.audio.mixing import peak_energy
from factored_asr.dialogue import Dialogue, Memory, World
from factored_asr.language.grammar import Grammar

HOUSE = Path(__file__).parent.parent / "lm" / "house.yaml"
KINDS = {"command", "negated", "refusal", "correction", "fragment", "pronoun", "undo", "answer",
         "near", "other"}  # fmt: skip


def test_every_kind_is_there_by_every_voice() -> None:
    dialogues = spoken.read_dialogues()
    turns = [turn for _, of_dialogue in dialogues for turn in of_dialogue]
    assert len(dialogues) >= 40
    assert all(2 <= len(of_dialogue) <= 4 for _, of_dialogue in dialogues)
    assert {turn.kind for turn in turns} == KINDS
    assert {(each.voice, each.speed) for each in spoken.spoken_dialogues()} == {
        *spoken.CONDITIONS
    }


def test_what_should_be_done_is_what_the_dialogue_does_with_the_text() -> None:
    house = Dialogue(Grammar.read(HOUSE), World.read(HOUSE))
    wrong = []
    for name, turns in spoken.read_dialogues():
        house.memory = Memory(house.world.start())
        for turn in turns:
            outcome = house.hear(turn.say)
            if (outcome.actions, outcome.ask) != (turn.do, turn.ask):
                wrong.append((name, turn.say, outcome.actions, outcome.ask))
    assert not wrong


def test_the_sounds_are_those_of_the_sentences() -> None:
    sounds = {}
    for each in spoken.spoken_dialogues():
        sounds |= {each.file(i): turn.say for i, turn in enumerate(each.turns)}
    assert {path: spoken.title(path) for path in sounds} == sounds
    folder = spoken.FOLDER / "sounds"
    assert {path for path in folder.iterdir()} == set(sounds)
    assert sum(path.stat().st_size for path in sounds) < 4 * 2**20


@pytest.mark.parametrize("snr", [15.0, 6.0])
def test_noise_is_mixed_at_its_level(snr: float) -> None:
    first = next(spoken.spoken_dialogues())
    clean, noisy = first.samples(0), first.samples(0, snr)
    gain = float(clean @ noisy / (clean @ clean))
    measured = 10 * np.log10(peak_energy(gain * clean) / peak_energy(noisy - gain * clean))
    assert measured == pytest.approx(snr, abs=1.0)
    np.testing.assert_array_equal(noisy, first.samples(0, snr))


def test_a_sound_that_is_not_kept_is_synthesised(tmp_path: Path) -> None:
    if not spoken.can_speak():
        pytest.skip("needs flite and espeak-ng")
    kept = {each.file(0) for each in spoken.spoken_dialogues()}
    other = next(e for e in spoken.spoken_dialogues("all") if e.file(0) not in kept)
    made = other.samples(0, folder=tmp_path)
    assert spoken.title(other.file(0, tmp_path)) == other.turns[0].say
    np.testing.assert_array_equal(other.samples(0, folder=tmp_path), made)
