"""A byte-order mark at the start of any file of text is no part of it, in every reader."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import warnings
from pathlib import Path

import pytest
from fuzz.readers import KINDS, Kind, lay, quietly
from support.files import NOT_OURS, TEXTS

from factored_asr.batch.inputs import find_inputs
from factored_asr.cli import main
from factored_asr.errors import FormatError
from factored_asr.evaluation.normalise import Rules
from factored_asr.language import read_arpa
from factored_asr.storage.tables import header_of, read_table


def marked(files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """Put a mark before each file of text that has none."""
    return {
        name: codecs.BOM_UTF8 + data
        if data is not None and name.endswith(TEXTS) and b"\0" not in data[:200]
        and not data.startswith(codecs.BOM_UTF8) else data
        for name, data in files.items()
    }


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name not in NOT_OURS],
                         ids=lambda kind: kind.name)
def test_every_reader_passes_over_it(kind: Kind, tmp_path: Path) -> None:
    for files in kind.good():
        changed = marked(dict(files))
        if changed != files:
            lay(changed, tmp_path / "case")
            quietly(kind, tmp_path / "case")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_models_lists_and_rules(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arpa = "\\data\\\nngram 1=2\n\n\\1-grams:\n-0.3\ttea\n-0.3\té\n\n\\end\\\n"
    (tmp_path / "a.arpa").write_bytes(arpa.encode(encoding))
    assert read_arpa(tmp_path / "a.arpa").vocabulary == ("tea", "é")
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "list").write_bytes("a.wav\r\n".encode(encoding))
    (sound,) = find_inputs(["@list"], working_folder=tmp_path)
    assert Path(sound.name).name == "a.wav"
    (tmp_path / "glm").write_bytes("going to => gonna\n".encode(encoding))
    assert Rules.named("case", tmp_path / "glm").apply("Going to") == ("gonna",)
    (tmp_path / "g.yaml").write_bytes(
        "intents: {I: {data: [{sentences: [stop]}]}}\n".encode(encoding))
    monkeypatch.setattr(sys, "stdin", io.StringIO("\ufeffstop\n"))
    with warnings.catch_warnings():
        assert main(["understand", "--grammar", str(tmp_path / "g.yaml")]) == 0
    assert '"text": "stop", "intent": "I"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "law"),
    [(gzip.compress(b"id\ttext\n", mtime=0), "is a gzip archive, and no text: unpack it"),
     ("id\ttext\n".encode("utf-16-le"), r":1: a zero byte: .* without its mark \(UTF-16\)"),
     (b"id\ttext\na\t\xe9\n", r":2: not UTF-8: byte 0xe9")],
)
def test_what_is_no_text_is_named(tmp_path: Path, data: bytes, law: str) -> None:
    (tmp_path / "t.tsv").write_bytes(data)
    with pytest.raises(FormatError, match=law):
        read_table(tmp_path / "t.tsv")


@pytest.mark.parametrize("first", ["sep=;\r\n", "SEP=;\r\n", ""])
def test_a_line_for_the_spreadsheet_stands_before_the_header(tmp_path: Path, first: str) -> None:
    (tmp_path / "t.csv").write_bytes(f'{first}id;text\r\na;"so; far"\r\n'.encode("utf-8-sig"))
    table = read_table(tmp_path / "t.csv", ("id", "text"))
    assert [row.values for row in table.rows] == [{"id": "a", "text": "so; far"}]
    assert header_of(tmp_path / "t.csv") == ("id", "text")
