"""Read files of transcripts for scoring, references and hypotheses alike.

The layout is given by name or by the end of the file's name:

`trn`     words, then the utterance's id in brackets (NIST)
`stm`     file, channel, speaker, start, end, optional <labels>, words; segments with the words
          IGNORE_TIME_SEGMENT_IN_SCORING are not scored (NIST)
`ctm`     file, channel, start, length, word, optional confidence (NIST)
`tsv`     a table with a header, of tabs or as spreadsheets write it (`csv`): ``id`` or ``path``;
          ``text``; optional ``speaker``, ``intent``, ``slots`` (a JSON object)
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
from factored_asr.storage.reading import lines_with_text, parse_json
from factored_asr.storage.tables import read_table

IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
UNKNOWN = "unknown"  # the speaker, as in the trn and stm files we write

_TRN = re.compile(r"(.*?)\s*\(([^()\s]+)\)\s*$")
_LABELS = re.compile(r"<[^<>\s]*>$")


@dataclass(frozen=True)
class Meaning:
    """An intent and its slots; an empty intent is no command."""

    intent: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Timed:
    """A word and the middle of its time in seconds."""

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


@dataclass(frozen=True)
class _Line:
    """A line of a file, or an entry of a JSON document."""

    text: str
    file: Path
    number: int = 0
    """0: the whole file."""

    def wrong(self, law: str) -> FormatError:
        """Return an error that names the line."""
        return FormatError(law, self.file, self.number or None)

    def seconds(self, text: str) -> float:
        """Return a time of this line in seconds."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value < float("inf"):
            raise self.wrong(f"{text!r} is no time in seconds")
        return value

    def json(self) -> Any:
        """Return the value of the line."""
        return parse_json(self.text, self.file, self.number or None)


def read_entries(file: Path, layout: str = "auto") -> Iterator[Entry]:
    """Yield the entries of a file in its order; see `Transcripts.read`."""
    known = ", ".join(LAYOUTS[1:])
    if layout == "auto":
        layout = file.suffix.lower()[1:].replace("jsonl", "json")
        if layout not in LAYOUTS:
            raise OptionError(f"{file}: its name does not tell the format, name one: {known}")
    if layout not in LAYOUTS:
        raise OptionError(f"format is {layout!r}, must be one of {known}")
    if layout in ("tsv", "csv"):
        return _read_tsv(file)
    return _READERS[layout]([
        _Line(text.strip(), file, number)
        for number, text in lines_with_text(file) if not text.startswith(";;")
    ])


def _read_trn(lines: list[_Line]) -> Iterator[Entry]:
    for line in lines:
        match = _TRN.match(line.text)
        if not match:
            raise line.wrong("must end with the utterance's id in brackets")
        yield Entry(match[2], match[1], line=line.number, marked=True)


def _read_stm(lines: list[_Line]) -> Iterator[Entry]:
    found = []
    for line in lines:
        fields = line.text.split(None, 5)
        if len(fields) < 5:
            raise line.wrong("must be: file, channel, speaker, start, end, words")
        start, end = map(line.seconds, fields[3:5])
        if end < start:
            raise line.wrong(f"ends at {end:g} s, before it starts at {start:g} s")
        words = " ".join(fields[5:]).split()
        if words and _LABELS.match(words[0]):
            words = words[1:]
        name = f"{fields[0]}-{fields[1]}-{start:.2f}"
        found.append(Entry(name, " ".join(words), fields[2], None, fields[0], fields[1], start, end,
                           line=line.number, marked=True))
    recordings = Counter(each.recording for each in found)
    for each in found:
        yield replace(each, id=each.recording) if recordings[each.recording] == 1 else each


def _read_ctm(lines: list[_Line]) -> Iterator[Entry]:
    words: dict[tuple[str, str], list[Timed]] = {}
    first: dict[tuple[str, str], int] = {}
    for line in lines:
        fields = line.text.split()
        if len(fields) not in (5, 6):
            raise line.wrong("must be: file, channel, start, length, word (confidence); has "
                             f"{len(fields)} fields")
        if fields[4].startswith("<ALT"):
            raise line.wrong("alternatives are known in trn and stm only")
        start, length = map(line.seconds, fields[2:4])
        key = fields[0], fields[1]
        first.setdefault(key, line.number)
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
    table = read_table(file)
    columns = set(table.columns)
    if not {"text", "intent"} & columns or not {"id", "path", "file"} & columns:
        law = f"the header must name id or path, and text or intent; has {list(table.columns)}"
        raise FormatError(law, file, 1)
    for each in table.rows:
        line, row = _Line("", file, each.number), dict[str, Any](each.values)
        if row.get("slots"):
            row["slots"] = replace(line, text=row["slots"]).json()
        yield _of_fields(row, line)


def _read_kaldi(lines: list[_Line]) -> Iterator[Entry]:
    for line in lines:
        name, *words = line.text.split(None, 1)
        yield Entry(name, "".join(words), line=line.number)


def _read_json(lines: list[_Line]) -> Iterator[Entry]:
    if lines and lines[0].text in ("{", "["):  # one value over many lines
        lines = [_Line("\n".join(line.text for line in lines), lines[0].file)]
    for line in lines:
        row = line.json()
        if len(lines) == 1 and not (isinstance(row, dict) and {"id", "file", "path"} & set(row)):
            yield from _of_document(row, line)
        else:
            yield _of_fields(row, line)


def _of_document(content: Any, line: _Line) -> Iterator[Entry]:
    """Yield the entries of a list of objects, or of an object of them by name."""
    if isinstance(content, dict) and all(isinstance(row, dict) for row in content.values()):
        content = [{"file": name, **row} for name, row in content.items()]
    for number, row in enumerate(content if isinstance(content, list) else [content], start=1):
        if not isinstance(row, dict):
            raise FormatError(f"entry {number} must be an object, is {row!r}", line.file)
        yield _of_fields(row, replace(line, number=number))


def _of_fields(row: Mapping[str, Any], line: _Line) -> Entry:
    """Return an entry from the fields that `tsv` and `json` share."""
    if not isinstance(row, dict):
        raise line.wrong(f"must be an object, is {row!r}")
    name = row.get("file") or row.get("path")
    if not (row.get("id") or name):
        raise line.wrong("names no id, file or path")
    text = row.get("text")
    if text is not None and not isinstance(text, str):
        raise line.wrong(f"text must be a string, is {text!r}")
    short = utterance_id(str(name)) if name else ""
    return Entry(
        str(row.get("id") or short), text, str(row.get("speaker") or UNKNOWN),
        _meaning(row, line), short or str(row["id"]), timed=_timed(row.get("words"), line),
        line=line.number,
    )


def _meaning(row: Mapping[str, Any], line: _Line) -> Meaning | None:
    if "interpretation" in row:
        row = row["interpretation"] or {"intent": None}
    if "intent" not in row:
        return None
    slots = row.get("slots") or {}
    if not isinstance(slots, dict):
        raise line.wrong(f"slots must be an object, is {slots!r}")
    return Meaning(str(row["intent"] or ""), {k: str(v) for k, v in slots.items()})


def _timed(words: Any, line: _Line) -> tuple[Timed, ...] | None:
    if not isinstance(words, list):
        return None
    try:
        return tuple(Timed(w["word"], (w["start"] + w["end"]) / 2) for w in words)
    except (KeyError, TypeError, OverflowError) as error:
        raise line.wrong("each word must have word, start and end") from error


_READERS: dict[str, Callable[[list[_Line]], Iterator[Entry]]] = {
    "trn": _read_trn, "stm": _read_stm, "ctm": _read_ctm, "json": _read_json, "kaldi": _read_kaldi,
}
LAYOUTS = ("auto", *_READERS, "tsv", "csv")
