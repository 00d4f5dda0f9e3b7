"""Tables with a header: tabs between, or what spreadsheets write (CSV), with or without quotes; or
records of JSON, one a line or in a list."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from factored_asr.errors import FormatError
from factored_asr.storage.reading import encoding_of, parse_json, read_text

SEPARATORS = ("\t", ";", ",", "|")
"""Between columns; the first that the header has."""
SUFFIXES = (".tsv", ".csv")
# Columns of Common Voice, DeepSpeech, NeMo, Hugging Face and others
OTHER_NAMES: Mapping[str, str] = {
    "sentence": "text", "transcript": "text", "transcription": "text", "client_id": "speaker",
    "speaker_id": "speaker", "wav_filename": "path", "filename": "path", "file_name": "path",
    "audio": "path", "audio_path": "path", "audio_filepath": "path", "offset": "start",
}
"""Names of columns in other tables, and ours."""
MAX_LINES = 20
"""Lines of one field in quotes."""
_SETTING = re.compile(r"\s*sep=.?\s*$", re.I)
"""A line before the header that tells a spreadsheet what separates columns."""
HEAD = 1 << 14
"""Bytes that may hold the header."""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    number: int
    """Its line in the file."""
    values: Mapping[str, str]
    """By the name of the column, in small letters."""


@dataclass(frozen=True)
class Table:
    """The header of a table, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: str | Path, needed: Collection[str] = ()) -> Table:
    """Read a table, or records of JSON; columns have our names where `OTHER_NAMES` knows theirs.

    A field in quotes may hold separators, ends of lines and quotes written twice. A quote that has
    no other one is a character like others. Raises FormatError, with file and line, for a header
    without a `needed` column, or a row of another length; errors of `read_text`.
    """
    text = read_text(path)
    if text.lstrip()[:1] in ("{", "["):
        return _records(text, path, needed)
    lines = text.split("\n")
    at = next((i for i, line in enumerate(lines) if line.strip() and not _SETTING.match(line)),
              len(lines))
    header = lines[at] if at < len(lines) else ""
    separator = separator_of(header)
    columns = columns_of(split_row(header, separator))
    if not set(needed) <= set(columns):
        law = f"the header must name {' and '.join(needed)}, has {list(columns)}"
        raise FormatError(law, path, at + 1)
    for name in needed:
        if columns.count(name) > 1:
            raise FormatError(f"the header names {name} {columns.count(name)} times", path, at + 1)
    rows = []
    at += 1
    while at < len(lines):
        values, n_lines = _row(lines, at, separator, len(columns))
        if any(values):
            if len(values) != len(columns):
                law = f"{len(values)} columns, the header has {len(columns)}"
                raise FormatError(law, path, at + 1)
            rows.append(Row(at + 1, dict(zip(columns, values, strict=True))))
        at += n_lines
    return Table(columns, tuple(rows))


def header_of(path: str | Path) -> tuple[str, ...]:
    """Return the columns that the first line of a file names; nothing is raised for other files."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return ()
    text = head.decode(encoding_of(head), errors="replace")
    lines = [line for line in text.splitlines() if not _SETTING.match(line)] or [""]
    if lines[0].startswith("{"):
        try:
            return columns_of(parse_json(lines[0]))
        except FormatError:
            return ()
    return columns_of(split_row(lines[0], separator_of(lines[0])))


def _records(text: str, path: str | Path, needed: Collection[str]) -> Table:
    """A table of JSON objects; a length (``duration``) behind a start gives the end."""
    if text.lstrip().startswith("["):
        found = [(1, record) for record in parse_json(text, path)]
    else:
        lines = enumerate(text.split("\n"), start=1)
        found = [(number, parse_json(line, path, number)) for number, line in lines if line.strip()]
    rows = []
    for number, record in found:
        if not isinstance(record, Mapping):
            raise FormatError(f"must be a JSON object, is {record!r:.40}", path, number)
        values = dict(zip(columns_of(record), record.values(), strict=True))
        if not set(needed) <= set(values):
            law = f"must name {' and '.join(needed)}, has {list(values)}"
            raise FormatError(law, path, number)
        start, length = values.get("start"), values.get("duration")
        if "end" not in values and isinstance(start, float | int) and isinstance(length, float):
            values["end"] = start + length
        plain = {name: _plain(value) for name, value in values.items()}
        if name := next((name for name in needed if plain[name] is None), ""):
            raise FormatError(f"{name} must be a text, is {values[name]!r:.40}", path, number)
        rows.append(Row(number, {name: text for name, text in plain.items() if text is not None}))
    return Table(tuple(rows[0].values) if rows else tuple(needed), tuple(rows))


def _plain(value: Any) -> str | None:
    """A text or a number as a text, nothing as an empty one; None: it is something else."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) else None


def columns_of(names: Collection[str]) -> tuple[str, ...]:
    """Return the names of columns in small letters, ours in the place of others.

    >>> columns_of(["Path", " sentence", "up_votes"])
    ('path', 'text', 'up_votes')
    """
    small = [name.strip().lower() for name in names]
    for at, name in enumerate(small):
        ours = OTHER_NAMES.get(name)
        if ours and ours not in small:
            small[at] = ours
    return tuple(small)


def separator_of(header: str) -> str:
    """Return what stands between the columns of a header."""
    return next((separator for separator in SEPARATORS if separator in header), "\t")


def split_row(line: str, separator: str = "\t") -> list[str]:
    """Return the fields of a line, without blanks and quotes around them.

    >>> split_row('a,"b, c", d,"e', ",")
    ['a', 'b, c', 'd', '"e']
    """
    fields, at = [], 0
    while True:
        match = _field(separator).match(line, at)
        assert match  # an empty field is one
        quoted = match["quoted"]
        fields.append(match[0].strip() if quoted is None else quoted.replace('""', '"').strip())
        at = match.end() + 1
        if at > len(line):
            return fields


@lru_cache
def _field(separator: str) -> re.Pattern[str]:
    between = re.escape(separator)
    return re.compile(
        rf' *"(?P<quoted>[^"]*(?:""[^"]*)*)" *(?={between}|\Z)|[^{between}]*', re.DOTALL
    )


def _row(lines: list[str], at: int, separator: str, n_columns: int) -> tuple[list[str], int]:
    """Return the fields of a row and its number of lines."""
    first = split_row(lines[at], separator)
    if len(first) <= n_columns and first[-1].startswith('"') and lines[at].count('"') % 2:
        text = lines[at]
        for n_lines, line in enumerate(lines[at + 1 : at + MAX_LINES], start=2):
            text += "\n" + line
            if text.count('"') % 2 == 0:
                values = split_row(text, separator)
                if len(values) == n_columns:
                    return values, n_lines
    return first, 1
