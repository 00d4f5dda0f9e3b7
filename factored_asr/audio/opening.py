"""Open a sound, whatever its source: what it is, its first bytes say."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile
from numpy.typing import ArrayLike

from factored_asr.audio.ahead import Ahead, Readable
from factored_asr.audio.arrays import Samples, checked, is_array, is_bytes, mono, no_sound
from factored_asr.audio.channels import Phases
from factored_asr.audio.ffmpeg import CONVERT, Decoder, find_ffmpeg
from factored_asr.audio.kinds import HEAD, Kind, kind_of
from factored_asr.audio.libsndfile import File
from factored_asr.audio.wav import Notice, WavReader, read_layout
from factored_asr.errors import FormatError, MissingError, OptionError

Source = str | os.PathLike[str] | BinaryIO | bytes | np.ndarray
"""What sound is read from: a path, ``"-"``, a binary file object, a file's bytes or an array."""

RAW_RATE = 16000  # Hz, of bare samples in files named .raw or .pcm
RAW_SUFFIXES = (".raw", ".pcm")
BLOCK_SAMPLES = 1 << 16  # read at once: what a header claims is never allocated
SLOWEST, FASTEST = 1000, 10_000_000  # Hz: other rates are mistakes, as of kHz for Hz
STDIN = "<stdin>"
_INNER = re.compile(rb"RIFF....WAVE(?=fmt |JUNK|LIST|bext)", re.S)
_ADDRESS = re.compile(r"(?:https?|ftp|file|s3|gs):/")


@dataclass(frozen=True)
class Part:
    """A part of a sound. The default is the whole sound, its channels averaged.

    Examples
    --------
    >>> Part(channel=2, start=10.0).end is None  # the second channel, from 10 s to its end
    True
    """

    channel: int | None = None
    """One channel alone, counted from 1; None averages all channels."""
    start: float = 0.0
    """Where it begins, seconds."""
    end: float | None = None
    """Where it ends, seconds, or with the sound if that is earlier; None: with the sound."""

    def __post_init__(self) -> None:
        if self.channel is not None and self.channel < 1:
            raise OptionError(f"channel is {self.channel}, must be at least 1")
        if not 0 <= self.start < (float("inf") if self.end is None else self.end):
            raise OptionError(f"{self.start} to {self.end} s is no stretch of a sound")


WHOLE = Part()


@dataclass(frozen=True)
class Sound:
    """An opened sound, whatever its source."""

    name: str
    rate: int
    read: Callable[[int], np.ndarray]  # the next n samples, fewer at the end
    n_channels: int = 1
    n_samples: int | None = None  # of each channel by the header
    must_hold: bool = False  # fewer are an error
    close: Callable[[], None] = lambda: None
    seek: Callable[[int], object] | None = None  # go to a sample; None: read up to it
    notice: Notice = print

    def __post_init__(self) -> None:
        if not SLOWEST <= self.rate <= FASTEST:
            self.close()
            law = f"a rate of {self.rate} Hz, must be {SLOWEST} to {FASTEST}"
            raise FormatError(law, self.name)

    def blocks(self, n_samples: int, part: Part = WHOLE) -> Iterator[Samples]:
        """Yield mono blocks of n_samples, the last one shorter; at least one sample in all."""
        n_read = first = round(part.start * self.rate)
        self._skip(first)
        last = sys.maxsize if part.end is None else max(first + 1, round(part.end * self.rate))
        phases = Phases()
        while n_read < last and len(block := self.read(min(n_samples, last - n_read))):
            yield mono(block, self.name, part.channel, n_read)
            n_read += len(block)
            if part.channel is None:
                phases.add(block)
        if self.must_hold and n_read < min(last, self.n_samples or 0):
            law = f"the header promises {self.n_samples} samples, the file has {n_read}"
            raise FormatError(f"truncated: {law}", self.name)
        if n_read == first:
            law = f"has nothing at {part.start} s" if first else "holds no samples"
            raise FormatError(f"{law}, must hold at least one sample", self.name)
        if found := phases.opposed():
            self.notice(f"{self.name}: {found}")

    def _skip(self, n_samples: int) -> None:
        """Pass over the first samples of each channel."""
        try:
            if self.seek and n_samples:
                self.seek(n_samples)
        except soundfile.LibsndfileError:
            raise FormatError(f"has nothing at {n_samples / self.rate:.2f} s", self.name) from None
        left = 0 if self.seek else n_samples
        while left and (n_read := len(self.read(min(left, BLOCK_SAMPLES)))):
            left -= n_read


def is_bare(source: str | os.PathLike[str]) -> bool:
    """Return whether a name may stand for bare samples: standard input, or by its ending."""
    name = os.fsdecode(source)
    return name == "-" or Path(name).suffix.lower() in RAW_SUFFIXES


def needs_ffmpeg(path: Path) -> bool:
    """Return whether a file is of a kind that the program ffmpeg reads; OSError as of `open`."""
    with path.open("rb") as file:
        kind = kind_of(file.read(HEAD))
    return kind is not None and kind.reader == "ffmpeg"


def open_source(source: Source, given_rate: int | None, notice: Notice) -> Sound:
    """Open a source; `given_rate` is that of an array, or of bare samples."""
    if is_array(source):  # all of it is checked before the first block goes out
        samples = checked(cast(ArrayLike, source))
        mono(samples, "<array>")
        return Sound("<array>", cast(int, given_rate), _array_reader(samples), notice=notice)
    if is_bytes(source):
        return _open_stream(io.BytesIO(source), "<bytes>", given_rate, notice)
    if isinstance(source, str | os.PathLike):
        if not (path := os.fsdecode(source)):
            raise OptionError("the name of a sound is empty")
        if path != "-":
            return open_path(Path(path), given_rate, notice)
        if sys.stdin is None:
            raise FormatError("standard input is closed", STDIN)
        return _open_stream(_unbuffered(sys.stdin.buffer), STDIN, given_rate, notice)
    name = str(getattr(source, "name", "<file object>"))
    if not hasattr(source, "read"):
        raise no_sound(source)
    if getattr(source, "closed", False):
        raise OptionError(f"{name}: this file is closed")
    return _open_stream(cast(Readable, source), name, given_rate, notice)


def _unbuffered(stdin: BinaryIO) -> Readable:
    """Standard input without a buffer: a thread that waits for it must not hold a lock."""
    try:
        return io.FileIO(stdin.fileno(), closefd=False)
    except (AttributeError, OSError):  # a substitute
        return stdin


def open_path(path: Path, raw_rate: int | None, notice: Notice) -> Sound:
    _check_there(path)
    if path.suffix.lower() in RAW_SUFFIXES:
        raw_rate = raw_rate or RAW_RATE
    else:
        raw_rate = None
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb", buffering=0))
        except OSError as error:
            raise FormatError(f"cannot be read: {error.strerror or error}", path) from None
        regular = path if path.is_file() else None
        sound = _open_stream(stream, str(path), raw_rate, notice, regular)
        kept = stack.pop_all()

    def close() -> None:
        sound.close()
        kept.close()

    return replace(sound, close=close)


def _check_there(path: Path) -> None:
    """Raise why nothing can be read where a path leads."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        law = "there is no such file"
        if path.is_symlink():
            law = f"a symbolic link to {os.readlink(path)}, which is not there"
        elif _ADDRESS.match(str(path)):
            law += ": an address, download it first"
        raise MissingError(f"{path}: {law}") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or error
        raise FormatError(f"cannot be read: {why}", path) from None


def _open_stream(
    stream: Readable, name: str, raw_rate: int | None, notice: Notice, path: Path | None = None
) -> Sound:
    """Open a stream by its content; `path` leads to it where it is a plain file."""
    ahead = Ahead(stream, name)
    head = ahead.peek(12)
    if not head and raw_rate is None:
        raise FormatError("an empty file, audio has a header at least", name)
    kind = kind_of(head)
    if kind is None or kind.reader != "wav":  # whose header is looked for as it comes
        kind = kind_of(head := ahead.peek(HEAD))
    if raw_rate is not None and not (kind and kind.sure):
        return _raw(ahead, name, raw_rate, notice)
    if kind is None:
        law = "no known format of sound; bare samples need their rate (--raw RATE, sample_rate=)"
        if found := _INNER.search(head):
            law = f"a WAV file stands behind it: remove the first {found.start()} bytes"
        raise FormatError(f"begins with {head[:12]!r}, {law}", name)
    if not kind.reader:
        raise FormatError(f"is {kind.name}, and no sound (begins with {head[:12]!r})", name)
    if kind.reader == "wav" and (sound := _wav(ahead, name, notice)):
        return sound
    if kind.reader != "ffmpeg":
        data = path or ahead.read_all()
        if sound := _by_libsndfile(data, name, notice):
            return sound
        if isinstance(data, bytes):
            ahead = Ahead(io.BytesIO(data), name)
    return _by_ffmpeg(path or ahead, kind, name, notice)


def _raw(ahead: Ahead, name: str, rate: int, notice: Notice) -> Sound:
    """Bare samples; a last odd byte is left out."""
    def read(n_samples: int) -> np.ndarray:
        data = ahead.read(2 * n_samples)
        if len(data) % 2:
            notice(f"{name}: ends within a sample of 2 bytes: its last byte is left out")
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)

    n_samples = None if ahead.size is None else ahead.size // 2
    return Sound(name, rate, read, 1, n_samples, seek=lambda n: ahead.skip(2 * n), notice=notice)


def _wav(
    ahead: Ahead, name: str, notice: Notice, close: Callable[[], None] = lambda: None
) -> Sound | None:
    """A WAV file; None where its samples are packed in a way that is not read here."""
    if (layout := read_layout(ahead)) is None:
        return None
    reader = WavReader(ahead, layout, lambda text: notice(f"{name}: {text}"))
    return Sound(name, layout.rate, reader.read, layout.n_channels, reader.n_samples, close=close,
                  seek=reader.seek, notice=notice)


def _by_libsndfile(source: Path | bytes, name: str, notice: Notice) -> Sound | None:
    """Open a file, or the bytes of one, by libsndfile; None where it cannot."""
    try:
        file = File(source, name, notice)
    except (soundfile.LibsndfileError, TypeError):
        return None
    return Sound(name, file.samplerate, file.next, file.channels, file.n_samples,
                 file.must_hold, file.close, file.skip, notice)


def _by_ffmpeg(source: Path | Ahead, kind: Kind, name: str, notice: Notice) -> Sound:
    if find_ffmpeg() is None:
        is_usual = kind.reader == "ffmpeg"
        what = f"is {kind.name}" if is_usual else f"is {kind.name} of a rare kind, or damaged"
        raise FormatError(
            f"{what}, which needs the program ffmpeg, and that is not installed: install "
            f"it, or convert the file elsewhere ({CONVERT})", name,
        )
    if not kind.demuxer:
        raise FormatError(f"looks like {kind.name}, but cannot be read as one", name)
    decoder = Decoder(source, kind.demuxer, name)
    try:
        ahead = Ahead(decoder, name)
        if not ahead.peek(12):
            raise FormatError("holds no sound", name)
        sound = _wav(ahead, name, notice, decoder.close)
        assert sound is not None
    except FormatError as error:
        decoder.close()
        raise FormatError(f"looks like {kind.name}, but {_law(error, name)}", name) from None

    def read(n_samples: int) -> np.ndarray:
        samples = sound.read(n_samples)
        if not len(samples) and decoder.complaint:
            notice(f"{name}: ffmpeg complains: {decoder.complaint}")
        return samples

    return replace(sound, read=read, seek=None, n_samples=None)


def _law(error: FormatError, name: str) -> str:
    return str(error).removeprefix(f"{name}: ")


def _array_reader(left: Samples) -> Callable[[int], np.ndarray]:
    def read(n_samples: int) -> np.ndarray:
        nonlocal left
        block, left = left[:n_samples], left[n_samples:]
        return block

    return read
