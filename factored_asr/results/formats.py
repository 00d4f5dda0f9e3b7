"""Output formats of transcripts: a table of writers by name.

A writer takes a transcript and the name of its sound, and returns lines without the last line end.
`text`, `json`, `ctm`, `stm` and `trn` give lines that may follow those of another sound; `srt`,
`vtt` and `textgrid` give one document for each sound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path

from factored_asr.errors import OptionError
from factored_asr.results.alignment import Alignment
from factored_asr.results.subtitles import SubtitleOptions, cues, lines
from factored_asr.results.transcript import Phone, Transcript
from factored_asr.storage.writing import ESCAPE

Writer = Callable[[Transcript, str], str]


def as_text(transcript: Transcript, name: str) -> str:
    """Return the words; of an N-best list a line for each string: rank, cost, words."""
    if transcript.alternatives:
        return "\n".join(
            f"{rank}\t{each.cost:.3f}\t{each.text}"
            for rank, each in enumerate(transcript.alternatives, start=1)
        )
    if any(part.alternatives for part in transcript.parts):
        return "\n".join(as_text(part, name) for part in transcript.parts)
    return transcript.text


def as_json(transcript: Transcript, name: str) -> str:
    """Return a JSON object on one line: `file`, then the fields of `Transcript.to_dict`."""
    return json.dumps({"file": name, **transcript.to_dict()}, ensure_ascii=False)


def as_ctm(transcript: Transcript, name: str) -> str:
    """Return NIST CTM: file, channel, start, duration, word and, if known, its confidence.

    A blank inside a written word ("10 km") becomes an underscore.
    """
    head = f"{utterance_id(name)} {transcript.channel or 1}"
    return "\n".join(
        f"{head} {word.start:.3f} {word.duration:.3f} {'_'.join(word.text.split())}"
        + ("" if word.confidence is None else f" {word.confidence:.4f}")
        for word in transcript.words
    )


def as_stm(transcript: Transcript, name: str) -> str:
    """Return NIST STM: file, channel, speaker (unknown), start, end, words of each segment."""
    head = f"{utterance_id(name)} {transcript.channel or 1} unknown"
    return "\n".join(
        f"{head} {part.start:.3f} {part.start + part.duration:.3f} {part.text}".rstrip()
        for part in transcript.parts or (transcript,)
    )


def as_trn(transcript: Transcript, name: str) -> str:
    """Return NIST TRN: the words, then the name of the sound in brackets."""
    channel = f"-{transcript.channel}" if transcript.channel else ""
    named = transcript.id or utterance_id(name) + channel
    return f"{transcript.text} ({named})".lstrip()


def as_srt(transcript: Transcript, name: str, options: SubtitleOptions | None = None) -> str:
    """Return SubRip subtitles."""
    blocks = (f"{times}\n{text}" for times, text in _subtitles(transcript, ",", options))
    return "\n\n".join(f"{number}\n{block}" for number, block in enumerate(blocks, start=1))


def as_vtt(transcript: Transcript, name: str, options: SubtitleOptions | None = None) -> str:
    """Return WebVTT subtitles."""
    blocks = [f"{times}\n{escape(text, quote=False)}"
              for times, text in _subtitles(transcript, ".", options)]
    return "\n\n".join(["WEBVTT", *blocks])


def as_textgrid(transcript: Transcript, name: str) -> str:
    """Return Praat's TextGrid, long form: tiers of words and, if their times are known, phones."""
    words = [Phone(word.text, word.start, word.end) for word in transcript.words]
    phones = [phone for word in transcript.words for phone in word.timed_phones]
    end = max([transcript.duration, 0.001, *(word.end for word in words)])
    tiers = {"words": words, "phones": phones} if phones or not words else {"words": words}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0",
             f"xmax = {end:.6f}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (tier, marks) in enumerate(tiers.items(), start=1):
        intervals = list(_intervals(marks, end))
        lines += [
            f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{tier}"',
            "        xmin = 0", f"        xmax = {end:.6f}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (text, first, last) in enumerate(intervals, start=1):
            quoted = text.replace('"', '""')
            lines += [f"        intervals [{place}]:", f"            xmin = {first}",
                      f"            xmax = {last}", f'            text = "{quoted}"']
    return "\n".join(lines)


FORMATS: dict[str, Writer] = {"text": as_text, "json": as_json, "ctm": as_ctm, "stm": as_stm,
                              "trn": as_trn, "srt": as_srt, "vtt": as_vtt, "textgrid": as_textgrid}
"""Every format by its name on the command line."""

SUBTITLES = {"srt": as_srt, "vtt": as_vtt}
"""Formats that take `SubtitleOptions`."""

DOCUMENTS = ("srt", "vtt", "textgrid")
"""Formats with one document for each sound: a file may hold only one."""

SUFFIXES = {"text": ".txt", "json": ".json", "textgrid": ".TextGrid"}
"""Suffixes of files that differ from a dot and the format's name."""


def write(
    transcript: Transcript, format_name: str, name: str = "",
    subtitles: SubtitleOptions | None = None,
) -> str:
    """Return a transcript in one of `FORMATS`; OptionError if there is no format of that name.

    `subtitles` are the limits of srt and vtt; None: two lines of 42 characters, 7 s.

    Examples
    --------
    >>> from factored_asr.results.transcript import Word
    >>> said = Transcript((Word("good", 0.1, 0.4), Word("morning", 0.4, 0.9)), duration=1.2)
    >>> print(write(said, "ctm", "greeting.wav"))
    greeting 1 0.100 0.300 good
    greeting 1 0.400 0.500 morning
    """
    if format_name not in FORMATS:
        raise OptionError(f"format must be one of {', '.join(FORMATS)}, got '{format_name}'")
    if format_name in SUBTITLES:
        return SUBTITLES[format_name](transcript, name, subtitles)
    return FORMATS[format_name](transcript, name)


def write_alignment(
    alignment: Alignment, format_name: str, name: str = "",
    subtitles: SubtitleOptions | None = None,
) -> str:
    """Return an alignment: `json` with scores, phones and states, all others as `write` does."""
    if format_name == "json":
        return json.dumps({"file": name, **alignment.to_dict()}, ensure_ascii=False)
    return write(alignment.transcript, format_name, name, subtitles)


def write_file(folder: str | Path, transcript: Transcript, format_name: str, name: str) -> Path:
    """Write a transcript to a file named after its sound, in a folder; OptionError if impossible.
    """
    text = write(transcript, format_name, name)
    stem = utterance_id(name) if name == "-" else Path(name).stem
    path = Path(folder) / (stem + SUFFIXES.get(format_name, f".{format_name}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n" if text else "", encoding="utf-8", errors=ESCAPE)
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def utterance_id(name: str) -> str:
    """Return a sound's name for NIST's formats: no folder, suffix, blank or bracket.

    Examples
    --------
    >>> utterance_id("recordings/my letter (2).wav")
    'my_letter_2'
    """
    cleaned = "".join(c for c in Path(name).stem if c not in "();")
    return "_".join(cleaned.split()).strip("-") or "stdin"


def _subtitles(
    transcript: Transcript, point: str, options: SubtitleOptions | None
) -> Iterator[tuple[str, str]]:
    """Yield the times and the text of each subtitle."""
    options = options or SubtitleOptions()
    for cue in cues(transcript.words, options):
        end = min(cue[-1].end, cue[0].start + options.max_cue)
        yield (f"{_clock(cue[0].start, point)} --> {_clock(end, point)}",
               "\n".join(lines(cue, options)))


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds: 01:02:03,450."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _intervals(marks: Iterable[Phone], end: float) -> Iterator[tuple[str, str, str]]:
    """Yield a tier without gaps: text, start, end."""
    at = f"{0:.6f}"
    for mark in marks:
        start, stop = f"{mark.start:.6f}", f"{mark.end:.6f}"
        if float(start) > float(at):
            yield "", at, start
        yield mark.text, at if float(start) < float(at) else start, stop
        at = stop
    if float(f"{end:.6f}") > float(at):
        yield "", at, f"{end:.6f}"
