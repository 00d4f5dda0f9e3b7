"""Praat's TextGrids, long and short: tiers of intervals or points with texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from factored_asr.errors import FormatError
from factored_asr.storage.reading import read_text

_VALUE = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?P<skip>\[[^][\n]*\]|![^\n]*|<exists>|[A-Za-z][^\s"]*)'
    r"|(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)|[^\s]"
)
"""A value stands free; names, "=" and indices in brackets are for people."""


@dataclass(frozen=True)
class Interval:
    """A stretch of a tier with its text."""

    start: float
    """Seconds."""
    end: float
    """Seconds."""
    text: str


@dataclass(frozen=True)
class Tier:
    """One tier of intervals; the points of a point tier last no time."""

    name: str
    intervals: tuple[Interval, ...]


def read_textgrid(path: str | Path) -> tuple[Tier, ...]:
    """Read the tiers of a TextGrid, in UTF-8 or UTF-16.

    Raises FormatError, with file and line, for a file that is none or is cut off.
    """
    text = read_text(path)
    return tuple(_tiers(_Values(text, path)))


class _Values:
    """The values of a TextGrid, one after another."""

    def __init__(self, text: str, path: str | Path) -> None:
        self.text, self.path, self.at = text, path, 0

    def next(self, kind: str) -> str:
        """Return the next value, a ``text`` or a ``number``."""
        while match := _VALUE.search(self.text, self.at):
            self.at = match.end()
            for found in ("text", "number"):
                if match[found] is not None:
                    if found != kind:
                        raise self.wrong(f"a {kind} must come here, not {match[0][:40]!r}")
                    return match[found].replace('""', '"')
        raise self.wrong(f"ends where a {kind} must come")

    def seconds(self) -> float:
        """Return the next number."""
        return float(self.next("number"))

    def count(self) -> int:
        """Return the next number, of things that follow."""
        found = self.seconds()
        if not (found.is_integer() and 0 <= found <= len(self.text)):
            raise self.wrong(f"{found:g} is no number of tiers or intervals")
        return int(found)

    def wrong(self, law: str) -> FormatError:
        """Return an error that names the line."""
        return FormatError(f"no TextGrid: {law}", self.path, self.text.count("\n", 0, self.at) + 1)


def _tiers(values: _Values) -> Iterator[Tier]:
    names = values.next("text"), values.next("text")
    if names != ("ooTextFile", "TextGrid"):
        raise values.wrong(f"it begins with {names[0][:40]!r} and {names[1][:40]!r}")
    values.seconds(), values.seconds()
    for _ in range(values.count()):
        kind, name = values.next("text"), values.next("text")
        if kind not in ("IntervalTier", "TextTier"):
            raise values.wrong(f"{kind[:40]!r} is no kind of tier")
        values.seconds(), values.seconds()
        found = []
        for _ in range(values.count()):
            start = values.seconds()
            end = values.seconds() if kind == "IntervalTier" else start
            if end < start:
                raise values.wrong(f"an interval from {start:g} to {end:g} s")
            found.append(Interval(start, end, values.next("text").strip()))
        yield Tier(name, tuple(found))
