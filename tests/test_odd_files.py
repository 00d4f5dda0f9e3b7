"""Archives in the place of texts, the line ends of old machines, and pipes in folders."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fuzz.readers import KINDS, Kind, lay, quietly
from support.files import NOT_OURS, TEXTS

from factored_asr.batch.inputs import find_inputs
from factored_asr.cli import main
from factored_asr.corpus import Corpus
from factored_asr.corpus.layouts import read_layout
from factored_asr.dialogue import World
from factored_asr.errors import FormatError, MissingError
from factored_asr.language import read_arpa, read_lm, read_sentences
from factored_asr.language.grammar import Grammar
from factored_asr.lexicon import Lexicon
from factored_asr.storage.reading import read_text

ARPA = "\\data\\\nngram 1=2\n\n\\1-grams:\n-0.3\ttea\n-0.3\tbus\n\n\\end\\\n"


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", data)
    return file.getvalue()


PACKED = {"zip": zipped, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_is_no_text(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(PACKED[kind](b"tea\n" * 20))
    law = f"is an? {kind} archive, and no text: unpack it"
    readers: list[Callable[[], object]] = [
        lambda: read_text(file), lambda: find_inputs([f"@{file}"]), lambda: Grammar.read(file),
    ]  # fmt: skip
    if kind != "gzip":  # which is unpacked where texts and language models are large
        readers += [lambda: list(read_sentences(file)), lambda: read_arpa(file)]
    for read in readers:
        with pytest.raises(FormatError, match=law):
            read()


def test_a_zip_of_an_arpa_file_is_no_packed_model(tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_bytes(zipped(ARPA.encode()))
    with pytest.raises(FormatError, match=r"a\.arpa: a zip archive, and no packed language model"):
        read_lm(tmp_path / "a.arpa")


@pytest.mark.parametrize("ends", ["\r", "\r\n"], ids=["CR", "CRLF"])
@pytest.mark.parametrize("kind", [k for k in KINDS if k.name not in NOT_OURS],
                         ids=lambda kind: kind.name)
def test_every_reader_takes_other_ends_of_lines(kind: Kind, ends: str, tmp_path: Path) -> None:
    for files in kind.good():
        changed = {
            name: data.replace(b"\n", ends.encode())
            if data and name.endswith(TEXTS) and b"\0" not in data and b"\r" not in data else data
            for name, data in files.items()
        }
        if changed != files:
            lay(changed, tmp_path / "case")
            quietly(kind, tmp_path / "case")


def test_ends_of_lines_part_sentences_names_and_ngrams(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one tea\rtwo teas\rthree\r")
    assert list(read_sentences(file)) == [["one", "tea"], ["two", "teas"], ["three"]]
    file.write_bytes(b"a.wav\rb.wav\r")
    assert [Path(each.name).name for each in find_inputs([f"@{file}"])] == ["a.wav", "b.wav"]
    file.write_bytes(ARPA.replace("\n", "\r").encode())
    assert read_arpa(file).vocabulary == ("tea", "bus")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are those of Unix")
def test_pipes_in_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    for name in ("a.wav", "a.txt", "b.wav", "metadata.csv", "t.tsv", "x.yaml", "1-2.trans.txt"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(MissingError, match="holds no sound"):
        find_inputs([tmp_path])
    with pytest.raises(MissingError, match="no corpus in a known layout"):
        read_layout(tmp_path, "auto")
    with pytest.raises(MissingError, match="no grammar"):
        Grammar.read(tmp_path)
    with pytest.raises(MissingError, match="world"):
        World.read(tmp_path)
    (tmp_path / "y.yaml").write_text("intents: {I: {data: [{sentences: [tea]}]}}")
    assert Grammar.read(tmp_path)
    soundfile.write(tmp_path / "k.wav", np.zeros(16000), 16000)
    (tmp_path / "k.lab").write_text("tea")
    assert [Path(each.name).name for each in find_inputs([tmp_path])] == ["k.wav"]
    assert ("tea",) in [each.words for each in read_layout(tmp_path, "auto")]


def test_a_file_in_the_place_of_the_spoken_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "said.txt").write_text("tea")
    assert main(["align", "a.wav", str(tmp_path / "said.txt"), "--model", "en-us"]) == 2
    assert "said.txt is a file, not the spoken text: give it by --text-file" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", [".\\clips\\a.wav", "file://{folder}/clips/a.wav"])
def test_a_table_names_sounds_as_windows_and_browsers_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").write_bytes(b"")
    row = name.format(folder=tmp_path) + "\ttea\n"
    (tmp_path / "t.tsv").write_text("path\ttext\n" + row)
    (utterance,) = read_layout(tmp_path / "t.tsv", "auto")
    assert utterance.path.samefile(tmp_path / "clips" / "a.wav")


def test_a_table_without_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("path\ttext\n")
    with pytest.raises(MissingError, match=r"t\.tsv: the corpus lists not a single utterance"):
        Corpus.read(tmp_path / "t.tsv")


def test_phones_of_another_case_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.dict").write_text("foo f uw\n")
    law = r"a\.dict:1: phone 'f' .* is not in the acoustic model, which writes it 'F'"
    with pytest.raises(MissingError, match=law):
        Lexicon.read(tmp_path / "a.dict").check_phones(["F", "UW"])
