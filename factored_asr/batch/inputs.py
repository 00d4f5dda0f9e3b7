"""Find the sounds to transcribe: files, folders, patterns, tables and lists.

Each sound has the name of its output. A sound that is given twice is transcribed once; two sounds
with the same output are an error before any work begins.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factored_asr.audio.opening import RAW_SUFFIXES, needs_ffmpeg
from factored_asr.audio.reading import Part, describe
from factored_asr.corpus.layouts import read_manifest
from factored_asr.errors import FactoredASRError, FormatError, MissingError, OptionError
from factored_asr.features.files import is_feature_file
from factored_asr.results.formats import utterance_id
from factored_asr.storage.reading import (
    check_unpacked,
    encoding_of,
    exists,
    files_in,
    read_bytes,
    standard_input,
)
from factored_asr.storage.tables import SUFFIXES as TABLES

SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".aiff", ".aif", ".au", ".w64",
          ".rf64", ".caf", ".wave", ".bwf", ".snd", ".aifc", ".nist", ".voc", ".mp2", ".mpga",
          *RAW_SUFFIXES, ".m4a", ".m4b", ".mp4", ".aac", ".webm", ".weba", ".wma", ".amr", ".3gp",
          ".mka", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".avi", ".wmv", ".flv", ".ac3", ".wv",
          ".tta", ".ape", ".mpc", ".dsf", ".spx", ".asf", ".eac3", ".dts", ".rm", ".ra", ".3g2",
          ".ogv", ".ogx", ".mts", ".m2ts", ".f4v", ".ircam", ".sds", ".sox", ".nut", ".mxf", ".wtv",
          ".thd")
"""Endings of sound files that folders are searched for."""
STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One sound, or one channel or segment of one.

    Examples
    --------
    >>> Input("talk.wav", "talk.2", Part(channel=2)).label
    'talk.wav#2'
    """

    name: str
    """Name of its file in messages and outputs, as given."""
    output: str
    """Name of its output, without the ending; may hold folders."""
    part: Part = Part()
    """Channel and segment of the file."""
    id: str = ""
    """Its id in a table; empty if it does not come from a table."""
    seconds: float = 0.0
    """Length according to the file's header; 0 if unknown."""

    @property
    def label(self) -> str:
        """Name that distinguishes channels and segments."""
        channel = "" if self.part.channel is None else f"#{self.part.channel}"
        return self.id + channel if self.id else self.name + channel


def find_inputs(sources: Sequence[str | Path], *, channels: str = "mix",
                working_folder: str | Path = ".",
                skipped: Callable[[FactoredASRError], None] | None = None) -> tuple[Input, ...]:
    """Return the sounds that names stand for, in the order of the names.

    Each source is one of these:

    * a sound file;
    * a folder, searched recursively for `SOUNDS`;
    * a pattern with ``*``, ``?``, ``[…]`` or ``**``;
    * a table ``*.tsv`` or ``*.csv`` with a column ``path`` and optional columns ``id``, ``start``
      and ``end`` (seconds);
    * ``@FILE``, a list of such names, one a line (``@-``: on standard input);
    * ``-``, the sound on standard input.

    A folder, pattern, table or list without a sound raises MissingError. A missing single file is
    reported later, when it is read.

    Parameters
    ----------
    channels
        ``mix``: the mean of a file's channels. ``separate``: each on its own.
    working_folder
        Base of relative names.
    skipped
        Called with the error of each folder, pattern, table or list that cannot be used where
        others can; None: the first such error is raised.

    Examples
    --------
    >>> [sound.output for sound in find_inputs(["examples/audio/music_*.wav"])]
    ['music_bathroom', 'music_stop']
    """
    if channels not in ("mix", "separate"):
        raise OptionError(f"channels must be mix or separate, got {channels!r}")
    root = Path(working_folder)
    found: list[Input] = []
    errors: list[FactoredASRError] = []
    for source in sources:
        try:
            found += _expand(str(source), root)
        except (MissingError, FormatError) as wrong:
            errors.append(wrong)
    if errors and (skipped is None or not found):
        raise errors[0]
    if skipped is not None:
        for error in errors:
            skipped(error)
    if not found:
        raise OptionError("no sound is given")
    split = channels == "separate"
    measured = [_measured(each, split) for each in found]
    return tuple(channel for each, n in measured for channel in _channels(each, n if split else 1))


def distinct(inputs: Iterable[Input]) -> tuple[tuple[Input, ...], int]:
    """Return each sound once, and the number of repetitions; two with one output: OptionError."""
    by_output: dict[str, Input] = {}
    n_again = 0
    for each in inputs:
        other = by_output.setdefault(each.output, each)
        if other is each:
            continue
        if Path(other.name).resolve() != Path(each.name).resolve() or other.part != each.part:
            raise OptionError(
                f"{other.label} and {each.label} would both be written to {each.output}: give the "
                "folder that holds them, whose folders the output then has, or a table with an id "
                "for each"
            )
        n_again += 1
    return tuple(by_output.values()), n_again


def _expand(source: str, root: Path) -> Iterator[Input]:
    path = root / source
    there = exists(path)
    if not source.strip():
        raise OptionError("the name of a sound is empty")
    if source == STDIN:
        yield Input(STDIN, utterance_id(STDIN))
    elif source == "@":
        raise OptionError("the name of a list is empty: @FILE")
    elif source.startswith("@") and not there:
        for name in _listed(source[1:], root):
            yield from _expand(name, root)
    elif there and path.is_dir():
        yield from _in_folder(path)
    elif path.suffix.lower() in TABLES and there and path.is_file():
        yield from _in_table(path)
    elif glob.has_magic(source) and not there:
        names = sorted(glob.glob(str(path), recursive=True))
        files = [name for name in names if Path(name).is_file()]
        if not files:
            raise MissingError(f"{source}: no file is named like that")
        for name in files:
            yield _file(Path(name))
    else:
        yield _file(path)


def _file(path: Path) -> Input:
    return Input(str(path), path.name if is_feature_file(path) else path.stem)


def _listed(name: str, root: Path) -> list[str]:
    data = standard_input().read() if name == STDIN else read_bytes(root / name)
    check_unpacked(data, name)
    data, encoding = data.removeprefix(b"\xef\xbb\xbf"), encoding_of(data)
    if not encoding.startswith("utf-8"):
        data = data.decode(encoding, errors="replace").encode(errors="surrogateescape")
    if b"\0" in data:  # find -print0 ends names with zeros
        lines = data.split(b"\0")
    else:
        lines = data.replace(b"\r", b"\n").split(b"\n")
    names = [os.fsdecode(line.strip()) for line in lines if line.strip()]
    if not names:
        raise MissingError(f"@{name}: the list is empty")
    nested = next((each for each in names if each.startswith("@") and not exists(each)), "")
    if nested:
        raise FormatError(f"a list names sounds, not another list: {nested!r}", name)
    return names


def _in_folder(folder: Path) -> Iterator[Input]:
    """Yield the sounds below a folder, sorted; outputs keep its folders.

    Symbolic links that lead nowhere are among them, and are reported when they are read.
    """
    files = [
        file for file in files_in(folder, "**/*")
        if file.suffix.lower() in SOUNDS and not file.name.startswith(".")
    ]
    if not files:
        raise MissingError(f"{folder}: the folder holds no sound ({', '.join(SOUNDS)})")
    for file in files:
        yield Input(str(file), file.relative_to(folder).with_suffix("").as_posix())


def _in_table(path: Path) -> Iterator[Input]:
    """Yield the rows of a table; an id may hold folders but must stay inside the output folder."""
    for each in read_manifest(path, ("path",)):
        place = Path(each.id)
        plain = each.id.isprintable() and ".." not in place.parts
        if place.is_absolute() or not place.name or not plain:
            law = f"id {each.id!r} must be a name that an output can have"
            raise FormatError(f"{each.source}: {law}")
        try:
            part = Part(None, each.start, each.end)
        except OptionError as error:
            raise FormatError(f"{each.source}: {error}") from None
        yield Input(str(each.path), place.as_posix(), part, each.id)


def _measured(sound: Input, split: bool) -> tuple[Input, int]:
    """Return a sound with its length (0: unknown), and its number of channels.

    ffmpeg tells no length; it is asked for the channels where these are to be split.
    """
    n_channels, seconds = 1, 0.0
    try:
        path = Path(sound.name)
        if path.is_file() and not is_feature_file(path) and (split or not needs_ffmpeg(path)):
            about = describe(path)
            n_channels, seconds = about.n_channels, about.seconds
    except (OSError, ValueError, FactoredASRError):
        pass  # reported when it is read
    end = seconds if sound.part.end is None else min(seconds, sound.part.end)
    return replace(sound, seconds=max(0.0, end - sound.part.start)), n_channels


def _channels(sound: Input, n_channels: int) -> Iterator[Input]:
    """Yield an input for each channel; a file with one channel is unchanged."""
    if n_channels == 1:
        yield sound
        return
    for channel in range(1, n_channels + 1):
        part = replace(sound.part, channel=channel)
        yield replace(sound, output=f"{sound.output}-{channel}", part=part)
