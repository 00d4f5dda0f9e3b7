"""What is to be transcribed: files, folders, patterns, tables and lists become one list of sounds.

Each sound knows the name that its output has. What is found twice is done once; two sounds that
would have one output are an error before any work begins.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from factored_asr.audio.reading import RAW_RATE, RAW_SUFFIXES, Part
from factored_asr.corpus.layouts import read_manifest
from factored_asr.errors import FactoredASRError, FormatError, MissingError, OptionError
from factored_asr.features.files import is_feature_file
from factored_asr.results.formats import utterance_id

SOUNDS = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".aiff", ".aif", ".au", ".w64",
    ".rf64", ".caf", *RAW_SUFFIXES,
)
"""Files that are looked for in folders, by their ends."""
STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One sound, or one channel or stretch of one."""

    name: str
    """What messages and outputs call its file: as it was given."""
    output: str
    """Name of its output, without the ending; may hold folders."""
    part: Part = Part()
    """Which channel and stretch of the file."""
    id: str = ""
    """What a table calls it; empty where it comes from none."""
    seconds: float = 0.0
    """Its length by the file's header, where there is one that says so."""

    @property
    def label(self) -> str:
        """What it is called where channels and stretches are to be told apart."""
        channel = "" if self.part.channel is None else f"#{self.part.channel}"
        return self.id + channel if self.id else self.name + channel


def find_inputs(
    sources: Sequence[str | Path], *, channels: str = "mix", working_folder: str | Path = "."
) -> tuple[Input, ...]:
    """The sounds that some names stand for, in the order of the names.

    Parameters
    ----------
    sources
        Each one a sound file; a folder, searched to its depths for `SOUNDS`; a pattern with ``*``,
        ``?``, ``[…]`` or ``**``; a table ``*.tsv`` with a column ``path`` and, where there are
        such, ``id``, ``start`` and ``end`` (seconds); ``@FILE``, a list of such names, one a line
        (``@-``: on standard input); or ``-``, the sound on standard input.
    channels
        ``mix``: the mean of a file's channels. ``separate``: each for itself.
    working_folder
        Where relative names begin.

    Raises
    ------
    MissingError
        A folder or pattern without a sound, a table or list that is not there. A single file is
        not looked at: one that is missing fails for itself.
    FormatError
        A table breaks its format.
    OptionError
        No source at all, or channels is neither of the two.
    """
    if channels not in ("mix", "separate"):
        raise OptionError(f"channels must be mix or separate, got {channels!r}")
    root = Path(working_folder)
    found = [each for source in sources for each in _expand(str(source), root)]
    if not found:
        raise OptionError("no sound is given")
    measured = [_measured(each) for each in found]
    if channels == "mix":
        return tuple(each for each, _ in measured)
    return tuple(channel for each, n in measured for channel in _channels(each, n))


def distinct(inputs: Iterable[Input]) -> tuple[tuple[Input, ...], int]:
    """Each sound once, and how many were there again.

    Raises
    ------
    OptionError
        Two sounds would have one output: both are named.
    """
    by_output: dict[str, Input] = {}
    n_again = 0
    for each in inputs:
        other = by_output.setdefault(each.output, each)
        if other is each:
            continue
        if _place(other) != _place(each):
            raise OptionError(
                f"{other.label} and {each.label} would both be written to {each.output}: give the "
                "folder that holds them, whose folders the output then has, or a table with an id "
                "for each"
            )
        n_again += 1
    return tuple(by_output.values()), n_again


def _place(sound: Input) -> tuple[Path, Part]:
    return Path(sound.name).resolve(), sound.part


def _expand(source: str, root: Path) -> Iterator[Input]:
    path = root / source
    if source == STDIN:
        yield Input(STDIN, utterance_id(STDIN))
    elif source.startswith("@") and not path.exists():
        for name in _listed(source[1:], root):
            yield from _expand(name, root)
    elif path.is_dir():
        yield from _in_folder(path)
    elif path.suffix == ".tsv" and path.is_file():
        yield from _in_table(path)
    elif glob.has_magic(source) and not path.exists():
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
    if name == STDIN:
        lines = sys.stdin.read().splitlines()
    else:
        try:
            lines = (root / name).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FormatError(f"not UTF-8: {error.reason} at byte {error.start}", name) from error
        except OSError as error:
            raise MissingError(f"{name}: the list cannot be read: {error.strerror}") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise MissingError(f"@{name}: the list is empty")
    nested = next((each for each in names if each.startswith("@") and not Path(each).exists()), "")
    if nested:
        raise FormatError(f"a list names sounds, not another list: {nested!r}", name)
    return names


def _in_folder(folder: Path) -> Iterator[Input]:
    """The sounds below a folder, sorted; outputs keep its folders."""
    files = sorted(
        file for file in folder.rglob("*")
        if file.suffix.lower() in SOUNDS and file.is_file() and not file.name.startswith(".")
    )
    if not files:
        raise MissingError(f"{folder}: the folder holds no sound ({', '.join(SOUNDS)})")
    for file in files:
        yield Input(str(file), file.relative_to(folder).with_suffix("").as_posix())


def _in_table(path: Path) -> Iterator[Input]:
    """The rows of a table; an id may hold folders, but lead to no place outside of the output's."""
    for each in read_manifest(path, ("path",)):
        place = Path(each.id)
        plain = each.id.isprintable() and ".." not in place.parts
        if place.is_absolute() or not place.name or not plain:
            raise FormatError(
                f"{each.source}: id {each.id!r} must be a name that an output can have"
            )
        try:
            part = Part(None, each.start, each.end)
        except OptionError as error:
            raise FormatError(f"{each.source}: {error}") from None
        yield Input(str(each.path), place.as_posix(), part, each.id)


def _measured(sound: Input) -> tuple[Input, int]:
    """With its length, and the number of channels; what cannot be read has length 0."""
    n_channels, seconds = 1, 0.0
    try:
        if Path(sound.name).suffix.lower() in RAW_SUFFIXES:
            seconds = Path(sound.name).stat().st_size / (2 * RAW_RATE)
        elif Path(sound.name).is_file() and not is_feature_file(sound.name):
            about = soundfile.info(sound.name)
            n_channels, seconds = about.channels, about.duration
    except (OSError, soundfile.LibsndfileError, FactoredASRError):
        pass  # it will fail when it is read, and be named with the reason
    end = seconds if sound.part.end is None else min(seconds, sound.part.end)
    return replace(sound, seconds=max(0.0, end - sound.part.start)), n_channels


def _channels(sound: Input, n_channels: int) -> Iterator[Input]:
    """An input for each channel; a file of one is as it would be otherwise."""
    if n_channels == 1:
        yield sound
        return
    for channel in range(1, n_channels + 1):
        part = replace(sound.part, channel=channel)
        yield replace(sound, output=f"{sound.output}-{channel}", part=part)
