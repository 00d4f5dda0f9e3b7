"""Tables, manifests and dictionaries as other tools write them: read, or clearly refused."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from factored_asr.corpus.layouts import read_layout
from factored_asr.errors import FormatError
from factored_asr.lexicon import Lexicon
from factored_asr.storage.reading import read_text

NEMO = ({"audio_filepath": "a.wav", "duration": 2.0, "text": "one tea", "lang": "en"},
        {"audio_filepath": "a.wav", "offset": 0.5, "duration": 1.0, "text": "two"})


def laid(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, text in {"a.wav": "", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


@pytest.mark.parametrize("name", ["m.jsonl", "m.json", "list.json", ""])
def test_manifests_of_records(tmp_path: Path, name: str) -> None:
    lines = "\n\n".join(map(json.dumps, NEMO))
    laid(tmp_path, {name or "m.jsonl": json.dumps(NEMO) if name == "list.json" else lines})
    first, second = read_layout(tmp_path / name, "auto")
    assert (first.path, first.words, first.start, first.end) == (
        tmp_path / "a.wav", ("one", "tea"), 0.0, None)
    assert second.id == "a-0.5"
    assert (second.words, second.start, second.end) == (("two",), 0.5, 1.5)


def test_records_of_hugging_face(tmp_path: Path) -> None:
    laid(tmp_path, {"metadata.jsonl": '{"file_name": "a.wav", "transcription": "one"}'})
    (found,) = read_layout(tmp_path, "auto")
    assert found.words == ("one",)


@pytest.mark.parametrize(("text", "law"), [
    ('{"path": "a.wav"}', r":1: must name path and text, has \['path'\]"),
    ('{"path": "a.wav", "text": "a"}\n[1]', r":2: must be a JSON object, is \[1\]"),
    ('{"path": {"bytes": 1}, "text": "a"}', ":1: path must be a text, is {"),
    ('{"path": "a.wav", "text": "a"', ":1: no JSON"),
    ('{"path": "a.wav", "text": "a", "start": "x"}', ":1: start must be a number of seconds"),
])  # fmt: skip
def test_records_that_are_refused(tmp_path: Path, text: str, law: str) -> None:
    laid(tmp_path, {"m.jsonl": text})
    with pytest.raises(FormatError, match=law):
        read_layout(tmp_path / "m.jsonl", "auto")


def test_tables_of_other_tools(tmp_path: Path) -> None:
    for text, seconds in (
        ("wav_filename,wav_filesize,transcript\na.wav,44,one tea\n", (0.0, None)),
        ("path;start;end;text\na.wav;0,25;1,5;one tea\n", (0.25, 1.5)),
        ("audio\tSentence\na.wav\tone tea\n", (0.0, None)),
    ):
        laid(tmp_path, {"t.csv": text})
        (found,) = read_layout(tmp_path / "t.csv", "auto")
        assert (found.words, found.start, found.end) == (("one", "tea"), *seconds)


def test_texts_of_timit(tmp_path: Path) -> None:
    laid(tmp_path, {"dr1/x/sa1.wav": "", "dr1/x/sa1.txt": "0 46797 She had 21 suits.\n",
                    "dr1/x/sa2.wav": "", "dr1/x/sa2.txt": "0 to 10 in one go.\n"})
    words = {found.id: " ".join(found.words) for found in read_layout(tmp_path / "dr1", "auto")}
    assert words == {"x/sa1": "she had twenty one suits", "x/sa2": "zero to ten in one go"}


def test_tables_that_are_refused(tmp_path: Path) -> None:
    for name, text, law in (
        ("t.tsv", "path\ttext\ttext\na.wav\ta\tb\n", ":1: the header names text 2 times"),
        ("t.xlsx", b"PK\3\4" + bytes(60), "is a zip archive, and no text: save it as CSV"),
        ("t.tsv", b"path\ttext\na.wav\tcaf\xe9\n", ":2: not UTF-8: byte 0xe9; save it as UTF-8"),
    ):
        laid(tmp_path, {name: text})
        with pytest.raises(FormatError, match=law):
            read_layout(tmp_path / name, "auto")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are those of Unix")
@pytest.mark.parametrize("pipe", ["wav.scp", "segments", "utt2spk", "feats.scp",
                                  "etc/a.transcription"])
def test_pipes_among_the_lists_of_a_corpus(tmp_path: Path, pipe: str) -> None:
    """Nothing waits for them."""
    kaldi = {"text": "u one", "wav.scp": "u a.wav"}
    laid(tmp_path, {"etc/a.fileids": "a"} if pipe.startswith("etc") else kaldi)
    (tmp_path / pipe).unlink(missing_ok=True)
    os.mkfifo(tmp_path / pipe)
    with pytest.raises(FormatError, match=f"{pipe}: must be a plain file, is a pipe or a folder"):
        read_layout(tmp_path, "auto")


# --- dictionaries ------------------------------------------------------------


@pytest.mark.parametrize("line", [
    "cat K AE T", "cat\tK\tAE\tT", "  cat  K AE T  ", "cat [cat] K AE T", "cat [] K AE T",
    "cat [cat] 1.0 K AE T", "cat 1.0 0.2 1.1 0.9 K AE T", "cat K AE T # an animal",
    "cat\u00a0K AE T", "\ufeffcat K AE T", "cat(2) K AE T", ";;; words\ncat K AE T",
])  # fmt: skip
def test_dialects_of_dictionaries(tmp_path: Path, line: str) -> None:
    (tmp_path / "my.dict").write_text(line + "\n", encoding="utf-8")
    assert [each.phones for each in Lexicon.read(tmp_path / "my.dict")["cat"]] == [("K", "AE", "T")]


def test_words_may_begin_with_signs(tmp_path: Path) -> None:
    (tmp_path / "my.dict").write_text(
        ",comma K\n:colon K\n;semi-colon K\n\"quote K\n{brace K\n<unk> K\n[noise] K\n1,000 K\n"
        "n't K\nmr. K\n?what K\n", encoding="utf-8")
    assert len(Lexicon.read(tmp_path / "my.dict")) == 11


@pytest.mark.parametrize(("line", "word"), [
    ("cat,K AE T", "cat,K"), ('"cat","K AE T"', '"cat","K'), ('{"cat": ["K AE T"]}', '{"cat":'),
    ("cat: K AE T", "cat:"), ('<?xml version="1.0"?>', "<?xml"), ('"cat" K AE T', '"cat"'),
    ("cat; K AE T", "cat;"), ("cat|K AE T", "cat|K"),
])  # fmt: skip
def test_dictionaries_of_another_table_are_named(tmp_path: Path, line: str, word: str) -> None:
    (tmp_path / "my.dict").write_text(line + "\n", encoding="utf-8")
    law = "a line is WORD PH PH …, parted by white space, without quotes and commas, got the word"
    with pytest.raises(FormatError, match=f"my.dict:1: {law}") as refused:
        Lexicon.read(tmp_path / "my.dict")
    assert repr(word) in str(refused.value)


def test_other_encodings_have_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("caf\u00e9 don\u2019t".encode("cp1252"))
    with pytest.raises(FormatError, match=r"iconv -f WINDOWS-1252 -t UTF-8"):
        read_text(tmp_path / "a.txt")
