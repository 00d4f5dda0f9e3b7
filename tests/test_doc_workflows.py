"""Commands of the pages that train, adapt, compare, explain and detect, run with substitute files.

A language of tones takes the place of speech that is trained on, training has few passes, and a
language model of a few sentences takes the place of dictation. What takes minutes or needs torch
runs with ``pytest -m long tests/test_doc_workflows.py``.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from support.pages import DOCUMENTED, PROGRAM, ROOT, expanded, without_redirections
from support.vosk_files import WORDS as VOSK_WORDS
from support.vosk_files import write_vosk

from factored_asr.cli import main
from factored_asr.training import make
from factored_asr.training.run import STAGES
from factored_asr.training.schedule import Schedule

AUDIO = ROOT / "examples" / "audio"
LIGHT, STOP = "kitchen_light_on.wav", "music_stop.wav"
TEXTS = {LIGHT: "turn on the kitchen light", STOP: "stop the music"}
TONES = {"LO": 400.0, "AA": 1300.0, "HI": 3000.0}
TONE_WORDS = {"low": "LO AA", "high": "HI AA", "mid": "AA", "stop": "LO"}
SPEAKERS = "anna ben carl dora emil fay gus hana".split()
TRAINED = ("docs/how-to/own-language.md", "docs/how-to/own-model.md", "docs/how-to/measuring.md",
           "docs/how-to/explain.md")
"""Pages whose models are trained, in the order of their reading."""
ELSEWHERE = ("serve ", "transcribe --live -", "lm ", "score ", "understand ", "align ", "info --",
             "transcribe --grammar calls.yaml", "transcribe --lexicon")
"""Beginnings of commands that listen until they are ended (test_server_example.py, test_cli.py),
and of those in test_doc_commands.py."""
TORCH = ("tdnn", "ctc", "my_hybrid")
LONG = ("sat,mmi", "my_model --corpus test/", "--stage tree", "g2p train", "english.lm.zip",
        "--directed", "--enrol", "moonshine", "lm=big.arpa", "my_speech/", "--output mine",
        "--jobs 4 --resume")
"""Parts of commands that take long; another one of their kind is run always."""


def commands(*, trained: bool) -> list[list[str]]:
    """Return the commands that this file runs, each once: of models that are trained, or others."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, pipe in DOCUMENTED:
        words = without_redirections(pipe[-1])
        line = " ".join(words[1:])
        of_trained = place in TRAINED and "my_" in line and not line.startswith("adapt")
        if words[0] == PROGRAM and of_trained == trained and not line.startswith(ELSEWHERE):
            found.setdefault((place if trained else "", line), words[1:])
    keys = sorted(found, key=lambda key: TRAINED.index(key[0])) if trained else list(found)
    return [found[key] for key in keys]


def grammar(*sentences: str) -> str:
    data = json.dumps([{"sentences": sentences}])
    return json.dumps({"language": "en", "intents": {"It": {"data": json.loads(data)}}})


def named(words: list[str], parts: tuple[str, ...]) -> bool:
    return any(part in " ".join(words) for part in parts)


def wrong_ones(
    asked: list[list[str]], place: Path, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Run commands; return those that fail, with what they say."""
    wrong = []
    for words in asked:
        sound = (AUDIO / LIGHT).read_bytes()
        given = io.BytesIO(sound if words[-1] == "-" else b"zigbee\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", SimpleNamespace(buffer=given, encoding="utf-8"))
            code = main([name for word in words for name in expanded(word, place)])
        told = capsys.readouterr()
        if code or "Traceback" in told.err:
            wrong.append(f"{shlex.join(words)}: exit code {code}: {told.err}")
    return wrong


def tone(words: list[str], rng: np.random.Generator) -> np.ndarray:
    """Words as tones of 0.15 s a phone in a little noise, with silence around them."""
    pieces = [np.zeros(4800)]
    for phone in " ".join(TONE_WORDS[word] for word in words).split():
        time = np.arange(rng.integers(1900, 3200)) / 16000
        pieces.append(0.3 * np.sin(2 * np.pi * TONES[phone] * rng.uniform(0.95, 1.05) * time))
    sound = np.concatenate([*pieces, np.zeros(4800)])
    return sound + rng.normal(0, 0.003, len(sound))


@pytest.fixture
def tones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a corpus of tones under each name that the pages give theirs; few passes."""
    rng = np.random.default_rng(0)
    speech = tmp_path / "speech"
    speech.mkdir()
    rows = ["path\tspeaker\ttext"]
    for n in range(48):
        words = rng.choice(list(TONE_WORDS), size=rng.integers(1, 5)).tolist()
        soundfile.write(speech / f"{n}.wav", tone(words, rng), 16000)
        rows.append(f"{n}.wav\t{SPEAKERS[n % 8]}\t{' '.join(words)}")
    (speech / "utterances.tsv").write_text("\n".join(rows) + "\n")
    entries = "".join(f"{word} {phones}\n" for word, phones in TONE_WORDS.items())
    for name in ("noises", "recordings"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", tone(["high", "stop"], rng), 16000)
    for name in ("examples/words", "test"):
        shutil.copytree(speech, tmp_path / name)
    (tmp_path / "examples/words/slt").mkdir()
    for name in ("examples/words/slt/stop.flac", "command.wav"):
        soundfile.write(tmp_path / name, tone(["stop"], rng), 16000)
    for name, text in {
        "my.dict": entries, "examples/words/words.dict": entries,
        "my.yaml": grammar(*TONE_WORDS), "examples/words/words.yaml": grammar(*TONE_WORDS),
        "texts.txt": "\n".join(row.split("\t")[-1] for row in rows[1:]),
    }.items():
        (tmp_path / name).write_text(text)
    for name in ("utterances.tsv", "test.tsv"):
        table = [f"{row if n == 0 else 'speech/' + row}" for n, row in enumerate(rows)]
        (tmp_path / name).write_text("\n".join(table) + "\n")
    shutil.copytree(ROOT / "tests" / "data" / "kaldi" / "binary", tmp_path / "exp" / "tri3b")
    few = Schedule(passes=8, realign=(2, 3, 4, 5, 6), n_gaussians=40, grow_until=6)
    quick = {name: replace(stage.options, schedule=few) for name, stage in STAGES.items()
             if hasattr(stage.options, "schedule")}
    monkeypatch.setattr(make, "MakeOptions", partial(make.MakeOptions, stage_options=quick))
    monkeypatch.chdir(tmp_path)
    assert main(["lm", "estimate", "--quiet", "--order", "2", "texts.txt", "-o", "my.arpa.gz"]) == 0
    return tmp_path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a substitute for each file that other pages name."""
    for name in ("letter", "command", "call", "order", "doorbell", "living_room", "kitchen",
                 "my", "recordings/a", "calls/a", "commands/a", "recordings_of_alexa/a",
                 "recordings_of_alexa/b", "recordings_of_alexa/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(AUDIO / LIGHT, tmp_path / f"{name}.wav")
    rng = np.random.default_rng(0)
    for name in ("rain", "voices", "dishes"):
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(0, 0.02, 32000), 16000)
    for name in ("kitchen.wav", "kitchen.flac"):
        soundfile.write(tmp_path / name, rng.normal(0, 0.02, 80_000), 16000)
    for event in ("rain", "steps"):
        (tmp_path / "sounds" / event).mkdir(parents=True)
        for n in range(3):
            sound = rng.normal(0, 0.02 if event == "rain" else 0.2, 24000)
            soundfile.write(tmp_path / "sounds" / event / f"{n}.wav", sound, 16000)
    for folder in ("speech", "my_speech", "orders", "coffee/clean"):
        (tmp_path / folder).mkdir(parents=True)
        for name in TEXTS:
            shutil.copy(AUDIO / name, tmp_path / folder)
    rows = [f"{name}\t{text}\n" for name, text in TEXTS.items()]
    for folder in ("speech", "my_speech"):
        (tmp_path / folder / "utterances.tsv").write_text("path\ttext\n" + "".join(rows))
    (tmp_path / "readers.tsv").write_text(
        "path\ttext\n" + "".join(f"speech/{row}" for row in rows))
    labels = json.dumps({name: {"intent": "It", "slots": {}} for name in TEXTS})
    program = tmp_path / "my-program"
    program.write_text(f"#!{sys.executable}\nprint('stop the music')\n")
    program.chmod(0o755)
    for name, text in {
        "labels.json": labels, "coffee/labels.json": labels,
        "sentences.txt": "call {contact}\nplay {song} by {artist}\n",
        **{f"{name}.txt": "music\n" for name in ("names", "songs", "artists")},
        "my.dict": "zigbee Z IH G B IY\n",
        **{name: grammar(*TEXTS.values()) for name in ("coffee.yaml", "grammar.yaml", "my.yaml")},
        "commands.yaml": grammar(" ".join(VOSK_WORDS)),
        "texts.txt": "\n".join((*TEXTS.values(), "home assistant", "dear sir or madam", "zigbee")),
    }.items():
        (tmp_path / name).write_text(text)
    shutil.copytree(ROOT / "tests" / "data" / "kaldi" / "binary", tmp_path / "exp" / "tri3")
    write_vosk(tmp_path / "vosk-model-small-ko-0.22")
    for name in ("lm", "lexicons", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert main(["lm", "estimate", "--quiet", "texts.txt", "-o", "small.arpa"]) == 0
    assert main(["lm", "estimate", "--quiet", "--as-is", "sentences.txt", "-o", "calls.arpa"]) == 0
    for name in ("letters.arpa", "news.arpa", "big.arpa", "my.arpa"):
        shutil.copy("small.arpa", name)
    return tmp_path


def without_dictation(words: list[str]) -> list[str]:
    """Return a command whose language model is of two sentences, where its own is a large one."""
    small = ["--lm", "small.arpa"]
    if "dictation.graph" in words:
        return [*words, *small]
    if named(words, ("--grammar", "--lm", "vosk", "filterbank", "gaussians")):
        return words
    if words[0] == "compare":
        return ["ours:lm=small.arpa" if word == "ours" else word for word in words]
    if words[0] in ("transcribe", "explain", "plot", "compile", "evaluate"):
        return [words[0], *small, *words[1:]]
    return words


@pytest.mark.filterwarnings("default")
def test_models_are_trained_as_the_pages_say(
    tones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [words for words in commands(trained=True) if not named(words, (*LONG, *TORCH))]
    assert {words[0] for words in asked} >= {"train", "transcribe", "evaluate", "import", "info"}
    assert "\n".join(wrong_ones(asked, tones, capsys)) == ""


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_all_stages_are_trained_as_the_pages_say(
    tones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Speakers of two folders adapt the model, and its trees are drawn."""
    asked = [words for words in commands(trained=True)
             if named(words, LONG) and not named(words, TORCH)]
    assert {words[0] for words in asked} == {"train", "evaluate", "plot"}
    assert "\n".join(wrong_ones(asked, tones, capsys)) == ""


def test_without_torch_the_pages_commands_name_it(
    tones: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for words in commands(trained=True):
        if named(words, TORCH) and words[0] == "train":
            (said,) = wrong_ones([words], tones, capsys)
            assert "pip install 'factored-asr[train]'" in said, said


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_networks_are_trained_as_the_pages_say(
    tones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    asked = [words for words in commands(trained=True) if named(words, TORCH)]
    assert {words[0] for words in asked} == {"train", "evaluate"}
    assert "\n".join(wrong_ones(asked, tones, capsys)) == ""


def used(*, long: bool) -> list[list[str]]:
    """Return commands of the other pages."""
    trained = commands(trained=True)
    return [without_dictation(words) for words in commands(trained=False)
            if named(words, LONG) == long and words not in trained]


@pytest.mark.filterwarnings("default")
def test_models_are_adapted_compared_and_used_as_the_pages_say(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = used(long=False)
    assert {words[0] for words in asked} >= {"adapt", "compare", "explain", "plot", "detect"}
    assert "\n".join(wrong_ones(asked, place, capsys)) == ""


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_the_longer_commands_run_as_the_pages_say(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = used(long=True)
    if not (find_spec("moonshine_voice") and find_spec("pocketsphinx")):
        asked = [words for words in asked if words[0] != "compare"]
    assert "\n".join(wrong_ones(asked, place, capsys)) == ""
