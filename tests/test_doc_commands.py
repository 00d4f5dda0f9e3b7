"""The shell commands of README, docs and ``--help``: they parse, and run with substitute files."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from support.pages import DOCUMENTED, PAGES, PROGRAM, expanded, parsers, without_redirections

from factored_asr.cli import app, main

ROOT = Path(__file__).parents[1]
SPAN = re.compile(r"`(factored-asr [^`]+)`")
OTHERS = frozenset((
    "pip pytest echo arecord sphinx-build cat mkdir cp curl printf export docker ffmpeg sox bash "
    "git cd rm ls head tail parec nc ."
).split())  # fmt: skip
"""Other programs of the pages; python is checked as well."""
OURS = [(place, without_redirections(command)) for place, pipe in DOCUMENTED for command in pipe
        if command[0] == PROGRAM]  # fmt: skip


def test_there_are_commands_of_all_kinds() -> None:
    places = {place for place, _ in OURS}
    assert {"README.md", "docs/how-to/new-words.md", f"{PROGRAM} lm --help"} <= places
    assert len(OURS) > 40


def test_every_command_parses(capsys: pytest.CaptureFixture[str]) -> None:
    parser, failed = app._parser(), []
    for place, command in OURS:
        try:
            parser.parse_args(command[1:])
        except SystemExit as end:
            told = capsys.readouterr().err.strip().split("\n")[-1]
            failed += [f"{place}: {' '.join(command)}: {told}"] if end.code else []
    assert failed == []


def test_every_option_that_a_page_names_exists() -> None:
    """In the text, where words in capitals and "…" stand for arguments."""
    known = {name: {option for action in parser._actions for option in action.option_strings}
             for name, parser in parsers()}
    for page in PAGES:
        for span in SPAN.findall(page.read_text(encoding="utf-8")):
            name, words = PROGRAM, span.split()[1:]
            while words and f"{name} {words[0]}" in known:
                name, words = f"{name} {words[0]}", words[1:]
            assert words != span.split()[1:] or words[0].startswith("-"), f"{page.name}: {span}"
            for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", " ".join(words)):
                assert option in known[name], f"{page.name}: {span}: no {option}"


def test_other_programs_are_known_and_scripts_have_their_options() -> None:
    for place, pipe in DOCUMENTED:
        for command in map(without_redirections, pipe):
            program = next(word for word in command if "=" not in word)
            if program == PROGRAM:
                continue
            if not program.startswith("python"):
                assert program in OTHERS, f"{place}: {command}"
                continue
            if len(command) > 1 and command[1].endswith(".py"):
                script = ROOT / command[1]
                assert script.is_file(), f"{place}: {command}"
                text = "".join(file.read_text("utf-8") for file in script.parent.glob("*.py"))
                for option in command[2:]:
                    assert not option.startswith("--") or f'"{option}"' in text, (place, command)


# --- with substitute files --------------------------------------------------

GRAMMAR = """\
language: en
intents:
  TurnOn: {data: [{sentences: ["turn on the kitchen light", "set the radio volume to {n}"]}]}
lists: {n: {range: {from: 20, to: 30}}}
"""
RUN = {
    "lm estimate": (), "understand": (), "score": (), "align": (), "lm perplexity": (),
    "lm prune": (), "lm interpolate": (), "lm missing": (), "transcribe --grammar": (),
    "transcribe --words": (), "transcribe --lexicon": (), "info --cache": (),
}  # fmt: skip
"""Beginnings of commands that are run; those of dictation are slow, and so is training."""


@pytest.fixture
def place(tmp_path: Path, audio_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a substitute for each file that the pages name."""
    sound = audio_dir / "kitchen_light_on.wav"
    for name in ("letter.wav", "command.wav", "order.wav", "recordings/a.wav", "calls/a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(sound, tmp_path / name)
    shutil.copytree(audio_dir, tmp_path / "examples" / "audio")
    shutil.copytree(ROOT / "lm", tmp_path / "lm")
    entries = ("turn T ER N\non AA N\nthe DH AH\nkitchen K IH CH AH N\nlight L AY T\nset S EH T\n"
               "radio R EY D IY OW\nvolume V AA L Y UW M\nto T UW\ntwenty T W EH N T IY\n"
               "thirty TH ER D IY\n")
    digits = ("one two three four five six seven eight nine").split()
    entries += "".join(f"{word} T AH\n" for word in digits)
    for name, text in {
        "my.dict": "zigbee Z IH G B IY\n", "all.dict": entries, "my.yaml": GRAMMAR,
        "texts.txt": "Turn on the kitchen light!\nSet it to 21.\n", "letters.txt": "Dear Sir,\n",
        "test.txt": "Dear sir.\n", "heldout.txt": "Dear Sir.\n", "news.txt": "Stop the press.\n",
        **{f"{name}.trn": "so far so good (a-1)\nthis year (b-1)\n"
           for name in ("ref", "hyp", "ours", "theirs")},
        "ref.stm": "a 1 ann 0 2 so far\n", "ours.ctm": "a 1 0 1 so\na 1 1 1 far\n",
        "theirs.ctm": "a 1 0 1 so\n", "corpus.tsv": "id\tpath\ttext\na\ta.wav\tTwenty-one!\n",
        "labels.json": json.dumps({"a.wav": {"intent": "On", "slots": {"room": "hall"}}}),
        "heard.jsonl": '{"file": "a.wav", "text": "21", "intent": "On", "slots": {}}\n',
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copy(tmp_path / "heard.jsonl", tmp_path / "results.jsonl")
    monkeypatch.chdir(tmp_path)
    for source, name in (("letters.txt", "letters.arpa"), ("news.txt", "news.arpa"),
                         ("letters.txt", "letters.arpa.gz"), ("texts.txt", "mixed.arpa")):
        assert main(["lm", "estimate", "--quiet", source, "-o", name]) == 0
    return tmp_path


@pytest.mark.filterwarnings("default")
def test_commands_run_with_substitute_files(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each once; the exit code 1 says that there are errors in texts or words to be named."""
    done = 0
    for where, pipe in {str(pipe): (where, pipe) for where, pipe in DOCUMENTED}.values():
        words = without_redirections(pipe[-1])
        if not is_run(words):
            continue
        arguments = [name for word in words[1:] for name in expanded(word, place)]
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given(pipe, place))))
        assert main(arguments) in (0, 1), f"{where}: {words}: {capsys.readouterr().err}"
        told = capsys.readouterr()
        assert "Traceback" not in told.err, f"{where}: {words}"
        if words[1] == "understand":
            assert json.loads(told.out)["text"] and "TurnOn" in told.out
        done += 1
    assert done > 15


def is_run(words: list[str]) -> bool:
    if words[0] != PROGRAM or any(word in ("kitchen.flac", "--guess") for word in words):
        return False
    names = [" ".join(words[1:n]) for n in (2, 3)]
    return bool(set(names) & set(RUN)) and not {"big.arpa", "my_model"} & set(words)


def given(pipe: list[list[str]], place: Path) -> bytes:
    """Return what is on standard input."""
    if len(pipe) > 1 and pipe[-2][0] == "echo":
        return (" ".join(pipe[-2][1:]) + "\n").encode()
    if "<" in pipe[-1]:
        return (place / pipe[-1][pipe[-1].index("<") + 1]).read_bytes()
    return b"turn on the kitchen light\n"
