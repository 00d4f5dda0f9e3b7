"""Transcripts to score: joined, or cut by the times of their words, to match a reference."""

from __future__ import annotations

import itertools
import re
import warnings
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factored_asr.errors import FormatError, OptionError
from factored_asr.evaluation.transcript_files import UNKNOWN, Entry, read_entries

MAX_BRACES = 200
"""Opening braces of a text."""
_OPTIONAL = re.compile(r"\(([^()\s]+)\)$")


@dataclass(frozen=True)
class Transcripts:
    """The entries of a file by id, in its order."""

    name: str
    entries: Mapping[str, Entry]

    @property
    def segmented(self) -> bool:
        """True if utterances are segments of recordings."""
        return any(each.end < float("inf") for each in self.entries.values())

    @property
    def timed(self) -> bool:
        """True if all words have times, so that they can be cut into any segments."""
        return all(each.timed is not None for each in self.entries.values())

    @staticmethod
    def read(path: str | Path, layout: str = "auto") -> Transcripts:
        """Read a file; the layout is one of `LAYOUTS`, by default the end of the file's name.

        A line that breaks the format or repeats an id raises FormatError with file and line.
        """
        file = Path(path)
        entries: dict[str, Entry] = {}
        for entry in read_entries(file, layout):
            if entry.id in entries:
                law = f"{entry.id!r} is there already in line {entries[entry.id].line}"
                raise FormatError(law, file, entry.line)
            entries[entry.id] = entry
        if not entries:
            raise FormatError("holds not a single transcript", file)
        return Transcripts(str(path), entries)

    def joined(self) -> Transcripts:
        """Return the utterances of each recording joined into one."""
        recordings: dict[tuple[str, str], list[Entry]] = {}
        for each in self.entries.values():
            if each.ignored:
                raise OptionError(
                    f"{self.name}:{each.line}: a segment to be ignored needs hypotheses whose "
                    "words have times: ctm, or json"
                )
            recordings.setdefault((each.recording or each.id, each.channel), []).append(each)
        channels = Counter(name for name, _ in recordings)
        entries = {}
        for (recording, channel), parts in recordings.items():
            name = recording if channels[recording] == 1 else f"{recording}-{channel}"
            entries[name] = replace(parts[0], id=name)
            if len(parts) > 1:
                text = " ".join(part.text or "" for part in parts)
                speakers = {part.speaker for part in parts}
                speaker = speakers.pop() if len(speakers) == 1 else UNKNOWN
                entries[name] = replace(entries[name], text=text, start=0.0, end=float("inf"),
                                        speaker=speaker)
        return replace(self, entries=entries)


def alternatives(entry: Entry, where: str) -> list[list[str]]:
    """Return a text of the file `where` as a sequence of parts, each a list of alternatives.

    Examples
    --------
    >>> alternatives(Entry("1", "i've { um / uh / @ } as far (as)", marked=True), "ref.trn")
    [["i've"], ['um', 'uh', ''], ['as far'], ['as', '']]
    """
    text = entry.text or ""
    if not entry.marked or not set(text) & set("{}("):
        return [[text]]
    tokens = re.findall(r"[{}]|[^\s{}]+", text)
    if tokens.count("{") > MAX_BRACES:
        law = f"more than {MAX_BRACES} alternatives in one text"
        raise FormatError(law, where, entry.line)
    found, rest = _choices(tokens, top=True)
    if rest or tokens.count("{") != tokens.count("}"):
        raise FormatError(f"a brace without its other one: {text!r}", where, entry.line)
    return found


def _choices(tokens: Sequence[str], top: bool = False) -> tuple[list[list[str]], Sequence[str]]:
    """Return the parts up to the end of the text or alternative, and the remaining tokens."""
    found: list[list[str]] = []
    plain: list[str] = []
    while tokens and (top or tokens[0] not in ("}", "/")) and tokens[0] != "}":
        token, tokens = tokens[0], tokens[1:]
        optional = _OPTIONAL.match(token)
        if token != "{" and not optional:
            plain.append("" if token == "@" else token)
            continue
        found, plain = [*found, *([[" ".join(plain)]] if plain else [])], []
        if optional:
            found.append([optional[1], ""])
            continue
        texts: list[str] = []
        tokens = ["/", *tokens]
        while tokens and tokens[0] == "/":
            inner, tokens = _choices(tokens[1:])
            texts += [" ".join(" ".join(parts).split()) for parts in itertools.product(*inner)]
        found.append(texts)
        tokens = tokens[1:]
    return [*found, *([[" ".join(plain)]] if plain else [])], tokens


def cut(hypothesis: Transcripts, reference: Transcripts) -> Transcripts:
    """Cut a hypothesis with times into the segments of a reference.

    The middle of a word decides. A word between two segments goes to the later one, a word after
    the last segment to that one, so that it counts as an insertion, as in NIST's sclite. Where both
    have one channel of a recording, these are the same, whatever they are called; what is of
    another recording or channel stays as it is.
    """
    n_channels = Counter(name for name, _ in {
        (each.recording, each.channel) for each in hypothesis.entries.values()
    })
    extra: dict[str, Entry] = {}
    segments: dict[tuple[str, str], list[Entry]] = {}
    for each in reference.entries.values():
        segments.setdefault((each.recording, each.channel), []).append(each)
    texts: dict[str, list[str]] = {}
    for entry in hypothesis.entries.values():
        channels = [key for key in segments if key[0] == entry.recording]
        key = (entry.recording, entry.channel)
        if key not in segments and len(channels) == 1 and n_channels[entry.recording] == 1:
            if entry.channel and channels[0][1]:
                warnings.warn(_other_channel(hypothesis, reference, entry, channels[0][1]),
                              stacklevel=2)
            key = channels[0]
        if key not in segments:
            extra[f"{entry.recording}-{entry.channel}" if channels else entry.id] = entry
        parts = sorted(segments.get(key, ()), key=lambda part: part.end)
        scored, ignored = ([p for p in parts if p.ignored == yes] for yes in (False, True))
        texts.update((part.id, texts.get(part.id, [])) for part in scored)
        for word in entry.timed or ():
            outside = _at(ignored, word.middle)
            if scored and not (outside and outside.start <= word.middle):
                part = _at(scored, word.middle) or scored[-1]
                texts[part.id].append(word.text)
    return replace(hypothesis, entries={
        **{name: replace(reference.entries[name], text=" ".join(words), meaning=None)
           for name, words in texts.items()}, **extra,
    })


def _other_channel(
    hypothesis: Transcripts, reference: Transcripts, entry: Entry, other: str
) -> str:
    return (f"{hypothesis.name}: {entry.recording!r} is of channel {entry.channel!r}, in "
            f"{reference.name} of {other!r}: taken for the same, as each has one channel")


def _at(parts: Sequence[Entry], middle: float) -> Entry | None:
    """Return the first of segments, sorted by end, that does not end before a time in seconds."""
    place = bisect_left(parts, middle, key=lambda part: part.end)
    return parts[place] if place < len(parts) else None
