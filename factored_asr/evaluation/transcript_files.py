"""Read files of transcripts for scoring, references and hypotheses alike.

The layout is given by name or by the end of the file's name:

`trn`     words, then the utterance's id in brackets (NIST)
`stm`     file, channel, speaker, start, end, optional <labels>, words; segments with the words
          IGNORE_TIME_SEGMENT_IN_SCORING are not scored (NIST)
`ctm`     file, channel, start, length, word, optional confidence (NIST)
`tsv`     a table with a header: ``id`` or ``path``; ``text``; optional ``speaker``, ``intent``,
          ``slots`` (a JSON object)
`kaldi`   id, then words
`json`    lines of ``transcribe --format json``, or other objects with ``id`` or ``file``; ``text``,
          ``speaker``, ``words`` with times, ``interpretation`` or ``intent`` and ``slots``; or one
          object of names with an intent and slots each

References in `trn` and `stm` may have alternatives, ``{ um / uh / @ }`` (@: nothing), and optional
words, ``(uh)``: the alternative with the fewest errors counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from factored_asr.errors import FormatError, OptionError
from factored_asr.results.formats import utterance_id
from factored_asr.storage.reading import parse_json, read_text

IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
UNKNOWN = "unknown"  # the speaker, as in the trn and stm files we write

_TRN = re.compile(r"(.*?)\s*\(([^()\s]+)\)\s*$")
_LABELS = re.compile(r"<[^<>\s]*>$")

Row = tuple[int, str]


@dataclass(frozen=True)
class Meaning:
    """An intent and its slots; an empty intent is no command."""

    intent: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Timed:
    """A word and the middle of its time, seconds."""

    text: str
    middle: float


@dataclass(frozen=True)
class Entry:
    """One utterance of a reference or a hypothesis."""

    id: str
    text: str | None = None
    """None if the file has only the meaning."""
    speaker: str = UNKNOWN
    meaning: Meaning | None = None
    """None if the file has no meanings."""
    recording: str = ""
    """Of `stm` and `ctm`: the file that the utterance is a segment of."""
    channel: str = ""
    start: float = 0.0
    """Seconds."""
    end: float = float("inf")
    timed: tuple[Timed, ...] | None = None
    """Its words with times, if the file has them."""
    line: int = 0

    marked: bool = False
    """True if its text may have alternatives."""

    @property
    def ignored(self) -> bool:
        """True if the segment is not to be scored."""
        return (self.text or "").strip().upper() == IGNORED


def read_entries(file: Path, layout: str = "auto") -> Iterator[Entry]:
    """Yield the entries of a file in its order; see `Transcripts.read`."""
    if layout == "auto":
        layout = _SUFFIXES.get(file.suffix.lower(), "")
        if not layout:
            raise OptionError(
                f"{file}: its name does not tell the format, name one: {', '.join(_READERS)}"
            )
    if layout not in _READERS:
        raise OptionError(f"format is {layout!r}, must be one of {', '.join(_READERS)}")
    return _READERS[layout](file)


def _read_trn(file: Path) -> Iterator[Entry]:
    for number, text in _lines(file):
        match = _TRN.match(text)
        if not match:
            raise FormatError("must end with the utterance's id in brackets", file, number)
        yield Entry(match[2], match[1], line=number, marked=True)


def _read_stm(file: Path) -> Iterator[Entry]:
    found = []
    for number, text in _lines(file):
        fields = text.split(None, 5)
        if len(fields) < 5:
            raise FormatError("must be: file, channel, speaker, start, end, words", file, number)
        start, end = (_seconds(value, file, number) for value in fields[3:5])
        if end < start:
            raise FormatError(f"ends at {end:g} s, before it starts at {start:g} s", file, number)
        words = fields[5].split() if len(fields) > 5 else []
        if words and _LABELS.match(words[0]):
            words = words[1:]
        name = f"{fields[0]}-{fields[1]}-{start:.2f}"
        found.append(Entry(
            name, " ".join(words), fields[2], None, fields[0], fields[1], start, end,
            line=number, marked=True,
        ))
    recordings = Counter(each.recording for each in found)
    for each in found:
        yield replace(each, id=each.recording) if recordings[each.recording] == 1 else each


def _read_ctm(file: Path) -> Iterator[Entry]:
    words: dict[tuple[str, str], list[Timed]] = {}
    first: dict[tuple[str, str], int] = {}
    for number, text in _lines(file):
        fields = text.split()
        if len(fields) not in (5, 6):
            raise FormatError(
                f"must be: file, channel, start, length, word (confidence); has {len(fields)} "
                "fields", file, number,
            )
        if fields[4].startswith("<ALT"):
            raise FormatError("alternatives are known in trn and stm only", file, number)
        start, length = (_seconds(value, file, number) for value in fields[2:4])
        key = fields[0], fields[1]
        first.setdefault(key, number)
        words.setdefault(key, []).append(Timed(fields[4], start + length / 2))
    channels = Counter(name for name, _ in words)
    for (name, channel), timed in words.items():
        timed.sort(key=lambda word: word.middle)
        yield Entry(
            name if channels[name] == 1 else f"{name}-{channel}",
            " ".join(word.text for word in timed), recording=name, channel=channel,
            timed=tuple(timed), line=first[name, channel],
        )


def _read_tsv(file: Path) -> Iterator[Entry]:
    rows = list(_lines(file, strip=False))
    columns = [name.strip() for name in rows[0][1].split("\t")] if rows else []
    if not {"text", "intent"} & set(columns) or not {"id", "path", "file"} & set(columns):
        raise FormatError(
            f"the header must name id or path, and text or intent; has {columns}", file, 1
        )
    for number, text in rows[1:]:
        values = text.split("\t")
        if len(values) != len(columns):
            raise FormatError(f"{len(values)} columns, the header has {len(columns)}", file, number)
        row: dict[str, Any] = dict(zip(columns, map(str.strip, values), strict=True))
        if row.get("slots"):
            row["slots"] = parse_json(row["slots"], file, number)
        yield _of_fields(row, file, number)


def _read_kaldi(file: Path) -> Iterator[Entry]:
    for number, text in _lines(file):
        name, _, words = text.partition(" ")
        yield Entry(name, words.strip(), line=number)


def _read_json(file: Path) -> Iterator[Entry]:
    rows = list(_lines(file))
    if rows and rows[0][1].rstrip() in ("{", "["):  # one value over many lines
        content = parse_json("\n".join(text for _, text in rows), file)
        yield from _of_document(content, file)
        return
    for number, text in rows:
        row = parse_json(text, file, number)
        if len(rows) == 1 and not (isinstance(row, dict) and {"id", "file", "path"} & set(row)):
            yield from _of_document(row, file)
        else:
            yield _of_fields(row, file, number)


def _of_document(content: Any, file: Path) -> Iterator[Entry]:
    """Yield the entries of a list of objects, or of an object of them by name."""
    if not isinstance(content, list) and not (
        isinstance(content, dict) and all(isinstance(v, dict) for v in content.values())
    ):
        content = [content]
    named = content.items() if isinstance(content, dict) else ((None, each) for each in content)
    for number, (name, row) in enumerate(named, start=1):
        if not isinstance(row, dict):
            raise FormatError(f"entry {number} must be an object, is {row!r}", file)
        yield _of_fields(row if name is None else {"file": name, **row}, file, number)


def _of_fields(row: Mapping[str, Any], file: Path, number: int) -> Entry:
    """Return an entry from the fields that `tsv` and `json` share."""
    if not isinstance(row, dict):
        raise FormatError(f"must be an object, is {row!r}", file, number)
    name = row.get("file") or row.get("path")
    if not (row.get("id") or name):
        raise FormatError("names no id, file or path", file, number)
    text = row.get("text")
    if text is not None and not isinstance(text, str):
        raise FormatError(f"text must be a string, is {text!r}", file, number)
    short = utterance_id(str(name)) if name else ""
    return Entry(
        str(row.get("id") or short), text, str(row.get("speaker") or UNKNOWN),
        _meaning(row, file, number), short or str(row["id"]),
        timed=_timed(row.get("words"), file, number), line=number,
    )


def _meaning(row: Mapping[str, Any], file: Path, number: int) -> Meaning | None:
    if "interpretation" in row:
        row = row["interpretation"] or {"intent": None}
    if "intent" not in row:
        return None
    slots = row.get("slots") or {}
    if not isinstance(slots, dict):
        raise FormatError(f"slots must be an object, is {slots!r}", file, number)
    return Meaning(str(row["intent"] or ""), {k: str(v) for k, v in slots.items()})


def _timed(words: Any, file: Path, number: int) -> tuple[Timed, ...] | None:
    if not isinstance(words, list):
        return None
    try:
        return tuple(Timed(w["word"], (w["start"] + w["end"]) / 2) for w in words)
    except (KeyError, TypeError) as error:
        raise FormatError("each word must have word, start and end", file, number) from error


def _lines(file: Path, strip: bool = True) -> Iterator[Row]:
    """Yield numbered lines that are neither empty nor comments (;;)."""
    for number, text in enumerate(read_text(file).split("\n"), start=1):
        if text.strip() and not text.startswith(";;"):
            yield number, text.strip() if strip else text


def _seconds(text: str, file: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise FormatError(f"{text!r} is no time in seconds", file, number)
    return value


_READERS: dict[str, Callable[[Path], Iterator[Entry]]] = {
    "trn": _read_trn, "stm": _read_stm, "ctm": _read_ctm, "tsv": _read_tsv, "json": _read_json,
    "kaldi": _read_kaldi,
}
_SUFFIXES = {
    ".trn": "trn", ".stm": "stm", ".ctm": "ctm", ".tsv": "tsv", ".json": "json", ".jsonl": "json",
}
LAYOUTS = ("auto", *_READERS)
