"""Transcripts to be scored: joined, or cut up by the times of their words, to match a reference."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factored_asr.errors import FormatError, OptionError
from factored_asr.evaluation.transcript_files import UNKNOWN, Entry, read_entries

_OPTIONAL = re.compile(r"\(([^()\s]+)\)$")


@dataclass(frozen=True)
class Transcripts:
    """All entries of a file by their ids, in its order."""

    name: str
    entries: Mapping[str, Entry]

    @property
    def segmented(self) -> bool:
        """True if utterances are stretches of recordings."""
        return any(each.end < float("inf") for each in self.entries.values())

    @property
    def timed(self) -> bool:
        """True if all words have times, so that any segments can be cut out of them."""
        return all(each.timed is not None for each in self.entries.values())

    @staticmethod
    def read(path: str | Path, layout: str = "auto") -> Transcripts:
        """Read a file.

        Raises
        ------
        MissingError
            There is no such file.
        FormatError
            With file and line: what breaks the format, or an id that is there twice.
        OptionError
            An unknown layout, or none that the file's name tells.
        """
        file = Path(path)
        entries: dict[str, Entry] = {}
        for entry in read_entries(file, layout):
            if entry.id in entries:
                raise FormatError(
                    f"{entry.id!r} is there already in line {entries[entry.id].line}", file,
                    entry.line,
                )
            entries[entry.id] = entry
        if not entries:
            raise FormatError("holds not a single transcript", file)
        return Transcripts(str(path), entries)

    def joined(self) -> Transcripts:
        """The utterances of each recording one after the other, as one.

        Raises
        ------
        OptionError
            A stretch is to be ignored, which only words with times allow.
        """
        recordings: dict[tuple[str, str], list[Entry]] = {}
        for each in self.entries.values():
            if each.ignored:
                raise OptionError(
                    f"{self.name}:{each.line}: a stretch to be ignored asks for hypotheses whose "
                    "words have times: ctm, or json"
                )
            recordings.setdefault((each.recording or each.id, each.channel), []).append(each)
        channels = Counter(name for name, _ in recordings)
        whole = [
            _joined(name if channels[name] == 1 else f"{name}-{channel}", parts)
            for (name, channel), parts in recordings.items()
        ]
        return replace(self, entries={each.id: each for each in whole})


def _joined(name: str, parts: Sequence[Entry]) -> Entry:
    if len(parts) == 1:
        return replace(parts[0], id=name)
    speakers = {part.speaker for part in parts}
    return replace(
        parts[0], id=name, text=" ".join(part.text or "" for part in parts), start=0.0,
        end=float("inf"), speaker=speakers.pop() if len(speakers) == 1 else UNKNOWN,
    )


def alternatives(entry: Entry, where: str) -> list[list[str]]:
    """A text as stretches one after the other, each with what may stand there.

    Examples
    --------
    >>> alternatives(Entry("1", "i've { um / uh / @ } as far (as)", marked=True), "ref.trn")
    [["i've"], ['um', 'uh', ''], ['as far'], ['as', '']]

    Raises
    ------
    FormatError
        A brace has no other one; `where` is the file.
    """
    text = entry.text or ""
    if not entry.marked or not set(text) & set("{}("):
        return [[text]]
    tokens = re.findall(r"[{}]|[^\s{}]+", text)
    found, rest = _choices(tokens, top=True)
    if rest or tokens.count("{") != tokens.count("}"):
        raise FormatError(f"a brace without its other one: {text!r}", where, entry.line)
    return found


def _choices(tokens: Sequence[str], top: bool = False) -> tuple[list[list[str]], Sequence[str]]:
    """Stretches up to the end, or to what ends an alternative, and the tokens from there on."""
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
    """What of a hypothesis with times belongs to each of the reference's segments.

    A word belongs where the middle of its time lies; one between two segments goes to the later,
    one behind the last to that, as in NIST's sclite, so that what is made up there is an error.
    """
    segments: dict[tuple[str, str], list[Entry]] = {}
    for each in reference.entries.values():
        segments.setdefault((each.recording, each.channel), []).append(each)
    texts: dict[str, list[str]] = {}
    for heard in hypothesis.entries.values():
        channels = [key for key in segments if key[0] == heard.recording]
        key = (heard.recording, heard.channel)
        if key not in segments and len(channels) == 1 and not heard.channel:
            key = channels[0]
        parts = sorted(segments.get(key, ()), key=lambda part: part.end)
        scored, ignored = ([p for p in parts if p.ignored == yes] for yes in (False, True))
        texts.update((part.id, texts.get(part.id, [])) for part in scored)
        for word in heard.timed or ():
            outside = _at(ignored, word.middle)
            if scored and not (outside and outside.start <= word.middle):
                part = _at(scored, word.middle) or scored[-1]
                texts[part.id].append(word.text)
    known = {each.recording for each in reference.entries.values()}
    extra = {h.id: h for h in hypothesis.entries.values() if h.recording not in known}
    return replace(hypothesis, entries={
        **{name: replace(reference.entries[name], text=" ".join(words), meaning=None)
           for name, words in texts.items()},
        **extra,
    })


def _at(parts: Sequence[Entry], middle: float) -> Entry | None:
    """The first of segments, sorted by their ends, that does not end before a time, seconds."""
    place = bisect_left(parts, middle, key=lambda part: part.end)
    return parts[place] if place < len(parts) else None
