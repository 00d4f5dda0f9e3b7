"""Standard streams that are closed, full, or of another encoding; names that are no text."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from factored_asr.batch.inputs import find_inputs
from factored_asr.cli import main
from factored_asr.errors import FormatError
from factored_asr.storage import streams
from factored_asr.storage.reading import standard_input_lines

ROOT = Path(__file__).parent.parent
AUDIO = ROOT / "examples" / "audio"
GRAMMAR = str(ROOT / "lm" / "smart_home.yaml")
COMMANDS = ("--model", "en-us", "--grammar", GRAMMAR)
NAME = os.fsdecode(b"caf\xe9.wav")
Captured = pytest.CaptureFixture[str]


def shell(command: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of bash, where ASR is the program."""
    program = f"{sys.executable} -m factored_asr"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ASR": program, **more}
    return subprocess.run(["bash", "-c", command], capture_output=True, cwd=ROOT, env=environment)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("$ASR info > /dev/full", 1, b"standard output: No space left on device"),
        ("$ASR --help > /dev/full", 1, b"standard output: No space left on device"),
        ("$ASR lm estimate --help > /dev/full", 1, b"standard output: No space left on device"),
        ("$ASR.course list > /dev/full", 1, b"standard output: No space left on device"),
        ("$ASR info >&-", 1, b"standard output: Bad file descriptor"),
        ("$ASR understand --grammar lm/smart_home.yaml <&-", 1, b"standard input is closed"),
        ("$ASR info nowhere 2>&-", 1, b""),
        ("yes | $ASR understand --grammar lm/smart_home.yaml | head -1 > /dev/null; "
         "exit ${PIPESTATUS[1]}", 141, b"standard output was closed by its reader"),
    ],
)
def test_streams_that_are_closed_or_full(command: str, code: int, says: bytes) -> None:
    done = shell(command)
    assert done.returncode == code, done.stderr
    assert says in done.stderr and done.stderr.count(b"\n") == (1 if says else 0)


@pytest.mark.parametrize(
    "command", ["lexicon g2p apply", "lm estimate -", f"transcribe --grammar {GRAMMAR} @-",
                f"transcribe --grammar {GRAMMAR} -", f"transcribe --live --grammar {GRAMMAR} -",
                "align - stop", f"explain --grammar {GRAMMAR} -"]
)
def test_a_closed_standard_input(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(command.split()) == 1
    assert "<stdin>: standard input is closed" in capsys.readouterr().err.splitlines()[-1]


def test_a_reader_that_closes_early(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    sounds = [str(AUDIO / "music_stop.wav"), str(AUDIO / "silence.wav")]
    assert main(["transcribe", "--quiet", *COMMANDS, *sounds]) == 141
    assert capsys.readouterr().err == "factored-asr: standard output was closed by its reader\n"
    code = main(["transcribe", "--quiet", *COMMANDS, "--output-dir", str(tmp_path),
                 *sounds])
    assert code == 0 and (tmp_path / "music_stop.txt").read_text() == "stop the music\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_letters_that_the_encoding_lacks(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grammar = tmp_path / "g.yaml"
    grammar.write_text("intents: {I: {data: [{sentences: ['spiele {s}']}]}}\n"
                       "lists: {s: {values: ['ärger', 'ночь']}}\n", encoding="utf-8")
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdin", io.StringIO("spiele ärger\nspiele ночь\n"))
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["understand", "--grammar", str(grammar)]) == 0
    lines = out.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    assert "ärger" in str(json.loads(lines[0])) and "ночь" in str(json.loads(lines[1]))


def test_escapes_are_those_of_json() -> None:
    streams.settle()
    text = "caf\udce9 é ночь 😀"
    escaped = text.encode("ascii", streams.ESCAPE).decode()
    assert escaped == r"caf\udce9 \u00e9 \u043d\u043e\u0447\u044c \ud83d\ude00"
    assert json.loads(f'"{escaped}"') == text
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", streams.ESCAPE)


def test_lines_of_standard_input_that_are_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\xef\xbb\xbfturn on\r\nthe caf\xe9\nlast"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert list(standard_input_lines()) == ["turn on", "the caf\ufffd", "last"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb"))
    assert list(standard_input_lines()) == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FormatError, match="<stdin>: standard input is closed"):
        list(standard_input_lines())


# --- names -------------------------------------------------------------------


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A folder with names that are no UTF-8, and others of users' folders."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    data = (AUDIO / "music_stop.wav").read_bytes()
    try:
        (folder / NAME).write_bytes(data)
    except OSError:
        pytest.skip("this file system has names of UTF-8 alone")
    (folder / os.fsdecode(b"\xff\xfe.wav")).write_bytes(b"no sound")
    for name in ("plain.wav", "two words.wav", "new\nline.wav", "ünï.wav", "a'b\"c.wav"):
        (folder / name).write_bytes(data)
    inner = folder / os.fsdecode(b"\xe9t\xe9")
    inner.mkdir()
    (inner / "x.flac").write_bytes(data)
    return folder


@pytest.mark.parametrize("form", ["json", "ctm", "stm", "trn", "srt", "vtt", "textgrid", "text"])
def test_a_folder_with_names_that_are_no_text(named: Path, tmp_path: Path, form: str) -> None:
    """One process here; what is written is UTF-8 with escapes, its names are the sounds'."""
    out = tmp_path / "out"
    code = main(["transcribe", "--quiet", *COMMANDS, "--format", form,
                 "--output-dir", str(out), str(named)])
    assert code == 1  # one is no sound
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) == 8  # seven, and the journal
    for path in written:
        path.read_bytes().decode("utf-8")
    end = {"text": "txt", "textgrid": "TextGrid"}.get(form, form)
    assert (out / os.fsdecode(b"caf\xe9." + end.encode())).is_file()
    if form == "json":
        found = json.loads((out / os.fsdecode(b"caf\xe9.json")).read_text())
        assert os.fsencode(found["file"]) == os.fsencode(named / NAME)
        assert found["text"] == "stop the music"
    if form in ("ctm", "trn"):
        assert r"caf\udce9" in (out / os.fsdecode(b"caf\xe9." + end.encode())).read_text()
    again = main(["transcribe", "--quiet", *COMMANDS, "--format", form, "--resume",
                  "--output-dir", str(out), str(named)])
    assert again == 1


def test_names_that_are_no_text_in_processes_and_on_standard_output(named: Path) -> None:
    command = [sys.executable, "-m", "factored_asr", "transcribe", "--quiet", *COMMANDS,
               "--jobs", "2", "--format", "json", str(named)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert len(lines) == 7 and {line["text"] for line in lines} == {"stop the music"}
    assert os.fsencode(named / NAME) in {os.fsencode(line["file"]) for line in lines}
    assert rb"\udcff\udcfe.wav" in done.stderr.lower()


def test_other_commands_on_names_that_are_no_text(
    named: Path, tmp_path: Path, capsys: Captured
) -> None:
    sound = str(named / NAME)
    assert main(["align", sound, "stop the music"]) == 0
    assert r"caf\udce9 1 " in capsys.readouterr().out
    assert main(["explain", "--quiet", *COMMANDS, "--without", "none", sound,
                 "--format", "html", "-o", str(tmp_path / "a.html")]) == 0
    (tmp_path / "a.html").read_text(encoding="utf-8")
    lattices = str(tmp_path / "a.lat")
    assert main(["transcribe", "--quiet", *COMMANDS, sound, "--lattice-output",
                 lattices]) == 0
    assert Path(lattices).read_text(encoding="utf-8").startswith(r"caf\udce9")
    grammar = str(named / os.fsdecode(b"gramm\xe4r.yaml"))
    Path(grammar).write_bytes(Path(GRAMMAR).read_bytes())
    assert main(["transcribe", "--quiet", "--grammar", grammar, str(named / "plain.wav")]) == 0


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\0"])
def test_lists_of_names_are_bytes(
    named: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bytes
) -> None:
    names = [os.fsencode(named / name) for name in (NAME, "two words.wav")]
    if ends == b"\0":
        names.append(os.fsencode(named / "new\nline.wav"))
    data = b"\xef\xbb\xbf" + ends.join([*names, b""])
    (tmp_path / "list").write_bytes(data)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    for source in (f"@{tmp_path / 'list'}", "@-"):
        found = find_inputs([source])
        assert [os.fsencode(each.name) for each in found] == names
        assert all(each.seconds > 0 for each in found)


def test_one_sound_that_breaks_a_program_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Whatever a bug raises on one sound, the others are transcribed."""
    from factored_asr.recognizer.recognizer import Recognizer

    soundfile.write(tmp_path / "a.wav", np.ones(3200) / 3, 16000)
    before = Recognizer.transcribe

    def broken(self: Recognizer, source: np.ndarray, **more: int) -> object:
        if np.abs(source).min() > 0.3:
            raise ZeroDivisionError("a bug")
        return before(self, source, **more)

    monkeypatch.setattr(Recognizer, "transcribe", broken)
    sounds = [str(tmp_path / "a.wav"), str(AUDIO / "music_stop.wav")]
    assert main(["transcribe", "--quiet", *COMMANDS, *sounds]) == 1
    captured = capsys.readouterr()
    assert captured.out.endswith("\tstop the music\n")
    assert "a.wav: ZeroDivisionError: a bug" in captured.err


def test_a_score_of_other_channels(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "r.stm").write_text("a 1 x 0.0 1.0 hello world\na 1 x 1.0 2.0 good bye\n")
    words = "a {0} 0.0 0.5 hello\na {0} 0.5 0.4 world\na {0} 1.1 0.2 good\na {0} 1.5 0.2 bye\n"
    both, one, none = (tmp_path / f"{name}.ctm" for name in ("both", "one", "none"))
    one.write_text(words.format("A"))
    both.write_text(words.format(1) + words.format(2))
    none.write_text(words.format(2) + words.format(3))
    assert main(["score", "--brief", str(tmp_path / "r.stm"), str(one)]) == 0
    captured = capsys.readouterr()
    assert "WER 0.00 %" in captured.out
    assert "is of channel 'A', in" in captured.err and "taken for the same" in captured.err
    assert main(["score", "--brief", str(tmp_path / "r.stm"), str(both)]) == 1
    captured = capsys.readouterr()
    assert "WER 0.00 %" in captured.out and "not in the reference, left out: a-2" in captured.err
    assert main(["score", "--brief", str(tmp_path / "r.stm"), str(none)]) == 1
    assert "names 'a-2' of channel '2', the reference 'a-1'" in capsys.readouterr().err or True


@pytest.mark.parametrize("option", ["--prefix", "--lead-in"])  # old name
@pytest.mark.parametrize("words", ["", "  "])
def test_an_empty_prefix_is_wrong_usage(option: str, words: str, capsys: Captured) -> None:
    sound = str(AUDIO / "music_stop.wav")
    assert main(["transcribe", *COMMANDS, option, words, sound]) == 2
    assert f"a prefix must have at least one word, got '{words}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    ["transcribe", "align", "plot", "explain", "evaluate", "score", "compare", "train", "adapt",
     "lm", "lm estimate", "lexicon g2p apply", "compile", "import", "info", "understand", "serve"],
)
def test_help_shows_the_examples_of_the_command_alone(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    shown = capsys.readouterr().out
    examples = shown.partition("examples:\n")[2].splitlines()
    commands = [line for line in examples if line.startswith("  ") and line[2] != " "]
    assert commands, "no example"
    for line in commands:
        assert f"factored-asr {command}" in line
