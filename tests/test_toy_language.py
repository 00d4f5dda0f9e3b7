"""Nothing in the core assumes English: a toy language with phones of its own, no letter case, and a
script that is written from right to left, from recordings to meaning."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.language import EstimateOptions, Grammar, estimate
from factored_asr.language.text import read_sentences
from factored_asr.lexicon import Lexicon
from factored_asr.understanding import Understander

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "words"
EXAMPLE = ROOT / "examples" / "13_a_language_without_tools.py"
SPOKEN = ("zero", "one", "two", "three", "four", "five", "six", "stop", "left", "go")
HELD_OUT = "slt"


@dataclass(frozen=True)
class Place:
    """A folder with the recordings' table, a letter-based dictionary, a grammar, and a model."""

    folder: Path
    printed: str

    @cached_property
    def words(self) -> dict[str, str]:
        """Spoken word of the examples: its spelling in the toy language."""
        lines = (self.folder / "letters.dict").read_text(encoding="utf-8").splitlines()
        return dict(zip(SPOKEN, (line.split()[0] for line in lines), strict=True))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What the example of a language without tools leaves behind."""
    pytest.importorskip("matplotlib")
    output = tmp_path_factory.mktemp("toy")
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--quick", "--output", output], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (output / f"{EXAMPLE.stem}.png").stat().st_size > 10_000
    return Place(output / "toy", done.stdout)


@pytest.fixture(scope="module")
def recognizer(place: Place) -> Recognizer:
    return Recognizer.load(place.folder / "model", grammar=place.folder / "toy.yaml")


def sound(word: str) -> Path:
    return FOLDER / HELD_OUT / f"{word}.flac"


def test_fifty_recordings_are_enough_for_an_unseen_voice(place: Place) -> None:
    assert "50 recordings, 10 words" in place.printed
    right, n = re.search(r"new voices: (\d+) of (\d+) words right", place.printed).groups()
    assert int(n) == 10 and int(right) >= 7, place.printed  # 8 when written; guessing gives 1


def test_letters_are_phones_with_times(recognizer: Recognizer, place: Place) -> None:
    aligned = recognizer.align(sound("three"), place.words["three"])
    assert aligned.words[0].word.text == place.words["three"]
    assert aligned.words[0].word.phones == tuple(place.words["three"])


def test_words_mean_what_the_grammar_says(recognizer: Recognizer, place: Place) -> None:
    said = recognizer.transcribe(sound("stop"))
    assert said.interpretation is not None
    assert str(said.interpretation.slots["word"]) == str(SPOKEN.index("stop"))
    understander = Understander(Grammar.read(place.folder / "toy.yaml"))
    assert str(understander.parse(place.words["go"]).slots["word"]) == str(SPOKEN.index("go"))
    assert understander.parse("turn on the light") is None


@pytest.mark.parametrize("form", ["json", "textgrid", "srt", "ctm"])
def test_formats_keep_the_script(
    place: Place, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, grammar = str(place.folder / "model"), str(place.folder / "toy.yaml")
    assert main(["transcribe", "--quiet", "--model", model, "--grammar", grammar, "--format", form,
                 str(sound("stop"))]) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert place.words["stop"] in (json.loads(out)["text"] if form == "json" else out)


def test_dictionaries_and_language_models_take_any_script(tmp_path: Path) -> None:
    file = tmp_path / "other.dict"
    file.write_text("ශ්‍රී s r iː\n東京 t oː k j oː\nعين ʕ a j n\n", encoding="utf-8")
    lexicon = Lexicon.read(file)
    assert lexicon["東京"][0].phones == ("t", "oː", "k", "j", "oː")
    assert lexicon["عين"][0].phones == ("ʕ", "a", "j", "n")
    texts = tmp_path / "texts.txt"
    texts.write_text("שלום עולם\nשלום לך\n", encoding="utf-8")
    model = estimate(read_sentences(texts), EstimateOptions(order=2))
    assert model.log_prob("לך", ["שלום"]) > model.log_prob("לך", ["עולם"])
