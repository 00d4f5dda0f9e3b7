"""The command line: text on standard output, the rest on standard error, exit codes 0, 1, 2."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr.cli import main
from factored_asr.graph import Graph
from factored_asr.models.bundle import default_model

ROOT = Path(__file__).parent.parent
GRAMMAR = str(ROOT / "lm" / "smart_home.yaml")
Captured = pytest.CaptureFixture[str]


def transcribe(*arguments: object) -> int:
    return main(["transcribe", "--quiet", "--grammar", GRAMMAR, *map(str, arguments)])


def test_one_file_gives_its_words_alone(audio_dir: Path, capsys: Captured) -> None:
    assert transcribe(audio_dir / "kitchen_light_on.wav") == 0
    assert capsys.readouterr().out == "turn on the kitchen light\n"


def test_several_files_give_a_line_each_with_their_name(
    audio_dir: Path, spoken: Mapping[str, str], capsys: Captured
) -> None:
    files = [audio_dir / "kitchen_light_on.wav", audio_dir / "timer_ten_minutes.wav"]
    assert transcribe(*files) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{file}\t{spoken[file.name]}" for file in files]


def test_files_may_stand_before_and_after_options(
    audio_dir: Path, spoken: Mapping[str, str], capsys: Captured
) -> None:
    files = [audio_dir / "kitchen_light_on.wav", audio_dir / "timer_ten_minutes.wav"]
    assert main(["transcribe", str(files[0]), "--quiet", "--grammar", GRAMMAR, str(files[1])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{file}\t{spoken[file.name]}" for file in files]
    for rest in (["--whispers"], ["--whispers", str(files[1])]):  # no file, an option misspelt
        with pytest.raises(SystemExit, match="2"):
            main(["detect", str(files[0]), "--quiet", *rest])
        assert f"unrecognized arguments: {' '.join(rest)}" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["info", "en-us", "--cache", "more"])  # a command that takes one name
    assert "unrecognized arguments: more" in capsys.readouterr().err


def test_json_is_an_object_a_line_with_intent_and_slots(audio_dir: Path, capsys: Captured) -> None:
    path = audio_dir / "kitchen_light_on.wav"
    assert transcribe("--format", "json", path) == 0
    [line] = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["file"] == str(path) and said["schema"] == 1
    assert said["text"] == "turn on the kitchen light"
    assert said["words"][0]["word"] == "turn" and said["words"][0]["start"] > 0.2
    assert "kitchen" in said["interpretation"]["slots"].values()


@pytest.mark.parametrize("option", ["model", "grammar", "lm", "words", "lexicon", "output-dir"])
def test_an_empty_name_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a variable of the shell that is not set, say; it would stand for the folder."""
    assert main(["transcribe", f"--{option}", "", "a.wav"]) == 2
    assert capsys.readouterr().err == f"factored-asr: --{option} is empty, must be a name\n"


@pytest.mark.parametrize("option", ["--prefix", "--lead-in"])  # old name
def test_words_before_a_command_are_accepted_where_asked_for(
    option: str, capsys: Captured
) -> None:
    denied = ROOT / "tests" / "data" / "no_dont_turn_on_the_kitchen_light.flac"
    assert transcribe("--denials", option, "jarvis", denied) == 0
    captured = capsys.readouterr()
    assert captured.out == "no don't turn on the kitchen light\n"
    assert captured.err.splitlines() == (
        [] if option == "--prefix" else [f"factored-asr: {option} is deprecated, use --prefix"]
    )


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [("transcribe", "--lead-in", "--prefix"),  # old name
     ("explain", "--mute", "--without")],
)
def test_old_names_of_options_are_hidden(
    command: str, old: str, new: str, capsys: Captured
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert new in shown and old not in shown


def test_silence_is_an_empty_line_and_a_reason(audio_dir: Path, capsys: Captured) -> None:
    path = str(audio_dir / "silence.wav")
    assert main(["transcribe", "--grammar", GRAMMAR, path]) == 0
    captured = capsys.readouterr()
    assert captured.out == "\n"
    assert f"{path}: no speech" in captured.err


def broken_files(folder: Path, sound: bytes) -> dict[Path, bytes | None]:
    """Files that hold no whole sound, by content; None: not there at all."""
    wav = io.BytesIO()
    values = np.zeros(1000, np.float32)
    values[500] = np.nan
    soundfile.write(wav, values, 16000, format="wav", subtype="FLOAT")
    no_samples = io.BytesIO()
    soundfile.write(no_samples, np.zeros(0, np.float32), 16000, format="wav")
    return {
        folder / "absent.wav": None, folder / "empty.wav": b"",
        folder / "truncated.wav": sound[: len(sound) // 2], folder / "header.wav": sound[:30],
        folder / "zero_length.wav": no_samples.getvalue(),
        folder / "text.wav": b"this is not sound at all, only text",
        folder / "nan.wav": wav.getvalue(),
    }


def test_a_broken_file_is_named_and_the_others_still_come(
    audio_dir: Path, tmp_path: Path, capsys: Captured
) -> None:
    good = [audio_dir / "kitchen_light_on.wav", audio_dir / "timer_ten_minutes.wav"]
    broken = broken_files(tmp_path, good[0].read_bytes())
    for path, content in broken.items():
        if content is not None:
            path.write_bytes(content)
    assert transcribe(good[0], *broken, good[1]) == 1
    captured = capsys.readouterr()
    assert [line.split("\t")[1] for line in captured.out.splitlines()] == [
        "turn on the kitchen light", "set a timer for ten minutes",
    ]
    for path in broken:
        assert captured.err.count(str(path)) == 1
    assert "7 of 9 inputs failed" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["transcribe"], ["sing"], ["transcribe", "--format", "pdf", "a.wav"],
        ["transcribe", "--grammar", "a", "--lm", "b", "c.wav"], ["understand"],
        ["transcribe", "--beam", "wide", "a.wav"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_option_out_of_range_is_exit_code_2(audio_dir: Path, capsys: Captured) -> None:
    assert transcribe("--beam", "-1", audio_dir / "silence.wav") == 2
    assert "beam must be above 0, got -1" in capsys.readouterr().err
    assert transcribe("--acoustic-scale", "0", audio_dir / "silence.wav") == 2
    assert "acoustic_scale must be above 0" in capsys.readouterr().err
    assert transcribe("--noise", "vts,magic", audio_dir / "silence.wav") == 2
    assert "no tool against noise is named 'magic': there are vts, " in capsys.readouterr().err


def test_a_broken_grammar_names_file_and_line(
    tmp_path: Path, audio_dir: Path, capsys: Captured
) -> None:
    grammar = tmp_path / "broken.yaml"
    template = "turn (on|off the light"
    grammar.write_text(f'intents:\n  On:\n    data:\n      - sentences: ["{template}"]\n')
    sound = str(audio_dir / "silence.wav")
    assert main(["transcribe", "--quiet", "--grammar", str(grammar), sound]) == 1
    assert f"{grammar}:4" in capsys.readouterr().err


def test_a_broken_dictionary_names_file_and_line(
    tmp_path: Path, audio_dir: Path, capsys: Captured
) -> None:
    words = tmp_path / "broken.dict"
    words.write_text("hello HH AH L OW\nsilent\n")
    assert transcribe("--words", words, audio_dir / "silence.wav") == 1
    assert f"{words}:2" in capsys.readouterr().err


def test_help_teaches_by_examples(capsys: Captured) -> None:
    for arguments in (["--help"], ["transcribe", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert "factored-asr transcribe --grammar lm/smart_home.yaml" in capsys.readouterr().out


def test_compile_keeps_a_graph_and_info_lists_it(tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "graph.fst"
    arguments = ["compile", "--quiet", "--grammar", GRAMMAR]
    assert main([*arguments, "--output", str(output)]) == 0
    assert f"{Graph.read(output).n_arcs} arcs" in capsys.readouterr().out
    assert main(["info", "--cache"]) == 0
    assert "smart_home.yaml" in capsys.readouterr().out


def test_info_reads_a_model_aloud(capsys: Captured) -> None:
    assert main(["info"]) == 0
    assert f"model\t{default_model()}\n" in capsys.readouterr().out
    assert main(["info", "en-us"]) == 0
    out = capsys.readouterr().out
    assert "pdfs\t5126" in out and "sample rate\t16000 Hz" in out
    assert main(["info", "klingon"]) == 1
    assert "no model 'klingon'" in capsys.readouterr().err


def test_the_cache_can_be_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path))
    main(["compile", "--quiet", "--grammar", GRAMMAR])
    assert main(["info", "--clear-cache"]) == 0
    assert "removed" in capsys.readouterr().out
    main(["info", "--cache"])
    assert capsys.readouterr().out == f"{tmp_path}\n"


def test_understand_writes_a_json_line_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    text = "turn on the kitchen light\nthe moon is made of cheese\n\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["understand", "--grammar", GRAMMAR]) == 0
    said, nonsense, nothing = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(said) == {"text", "intent", "slots", "confidence", "acts", "trace"}
    assert said["intent"] and "kitchen" in said["slots"].values()
    assert nonsense["intent"] is None and nonsense["text"] == "the moon is made of cheese"
    assert nothing["intent"] is None


def test_understand_takes_what_is_known_besides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    grammar = tmp_path / "lights.yaml"
    grammar.write_text(
        "intents:\n  On:\n    data:\n"
        "    - {sentences: [lights on], requires_context: {area: {slot: true}}}\n"
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("don't uh lights on\n"))
    assert main(["understand", "--grammar", str(grammar), "--context", "area=hall"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["intent"], said["slots"]) == (None, {})
    assert said["acts"] == [{"act": "deny", "intent": "On", "slots": {"area": "hall"}}]
    assert main(["understand", "--grammar", str(grammar), "--context", "hall"]) == 2
    assert "KEY=VALUE" in capsys.readouterr().err


def test_understand_holds_a_conversation(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("turn on the hall light\nno the porch\n"))
    assert main(["understand", "--grammar", "lm/house.yaml", "--dialogue"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["actions"] == ["on hall light"]
    assert second["actions"] == ["off hall light", "on porch light"] and not second["ask"]


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "factored_asr", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT)


@pytest.mark.parametrize("mode", [[], ["--live"]])
@pytest.mark.parametrize("kind", ["wav", "raw"])
def test_standard_input_is_heard(audio_dir: Path, mode: list[str], kind: str) -> None:
    sound = (audio_dir / "kitchen_light_on.wav").read_bytes()
    stdin = sound if kind == "wav" else sound[44:]
    bare = [] if kind == "wav" else ["--raw", "16000"]
    ended = run("transcribe", "--quiet", "--grammar", GRAMMAR, *mode, *bare, "-", stdin=stdin)
    assert (ended.returncode, ended.stdout) == (0, b"turn on the kitchen light\n")
    assert ended.stderr == b""
