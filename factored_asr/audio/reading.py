"""Sound from anywhere, as one array of samples: mono, float32, within [-1, 1].

libsndfile reads the files (wav, flac, ogg, mp3 and more), soxr changes the rate. Files named
``.raw`` or ``.pcm``, and a standard input without a known header, are taken as the bare samples a
microphone tool writes: 16-bit little-endian, mono, 16 kHz.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from factored_asr.audio.headers import UNKNOWN_LENGTH, check_head, plain_wav
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.reading import exists

Samples = NDArray[np.float32]
Source = str | os.PathLike[str] | BinaryIO | np.ndarray

RAW_RATE = 16000  # Hz, of bare samples
RAW_SUFFIXES = (".raw", ".pcm")
HEADERS = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd")
BLOCK_SAMPLES = 1 << 16  # read at once: what a header claims is never allocated
LOUDEST = 16.0  # a float sample beyond is not on the scale of [-1, 1]


@dataclass(frozen=True)
class Part:
    """A part of a sound. The default is the whole sound, its channels averaged."""

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


def read_audio(
    source: Source, *, sample_rate: int | None = None, array_rate: int | None = None
) -> tuple[Samples, int]:
    """Read a whole sound.

    Parameters
    ----------
    source
        A path, a binary file object, ``"-"`` for standard input, or an array as for `as_samples`.
        Channels are averaged.
    sample_rate
        Hz to resample to; None keeps the rate.
    array_rate
        Hz of an array; needed with an array, and only there.

    Returns the samples, (n_samples,), at least one, and their rate in Hz. Raises FormatError if the
    sound is empty, truncated, no audio, or holds a sample that is not finite; MissingError if there
    is no such file; OptionError for a rate that is not positive, or an array without one.

    Examples
    --------
    >>> samples, rate = read_audio(np.zeros(800, np.int16), array_rate=8000, sample_rate=16000)
    >>> samples.shape, samples.dtype, rate
    ((1600,), dtype('float32'), 16000)
    """
    _check_rates(source, sample_rate, array_rate)
    with closing(_open(source, array_rate)) as sound:
        blocks = list(sound.blocks(BLOCK_SAMPLES))
    samples = np.concatenate(blocks)
    if sample_rate is None or sample_rate == sound.rate:
        return samples, sound.rate
    samples = soxr.resample(samples, sound.rate, sample_rate)
    if len(samples) == 0:
        raise FormatError(f"shorter than one sample at {sample_rate} Hz", sound.name)
    return samples, sample_rate


def read_blocks(
    source: Source, *, sample_rate: int | None = None, block_seconds: float = 0.1,
    array_rate: int | None = None, part: Part = WHOLE,
) -> Iterator[Samples]:
    """Read a sound in blocks, (k,) of float32, such as from a microphone on standard input.

    The blocks together are the samples that :func:`read_audio` returns, but for the rounding of
    the resampler. Parameters and errors are those of :func:`read_audio`; a fault late in the
    sound is raised when it is reached.

    Parameters
    ----------
    block_seconds
        Approximate length of a block. Shorter blocks come sooner and cost more calls.
    part
        One channel, or one stretch of the sound; what lies before it is skipped.

    Examples
    --------
    >>> [len(block) for block in read_blocks(np.zeros(2000, np.float32), array_rate=8000)]
    [800, 800, 400]
    """
    _check_rates(source, sample_rate, array_rate)
    if not block_seconds > 0:
        raise OptionError(f"block_seconds is {block_seconds}, must be positive")
    return _blocks(source, sample_rate, block_seconds, array_rate, part)


def as_samples(array: ArrayLike, name: str = "<array>") -> Samples:
    """Check an array of samples and convert it to mono float32.

    `array` is (n_samples,) or (n_samples, n_channels), float in [-1, 1] or int16, perhaps empty;
    `name` its name in errors. Raises FormatError for a sample that is not finite or far outside
    [-1, 1], OptionError for an array of another type or shape.

    Examples
    --------
    >>> as_samples(np.array([[-32768, 0], [16384, 0]], dtype=np.int16)).tolist()
    [-0.5, 0.25]
    """
    samples = np.asarray(array)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0):
        raise OptionError(
            f"samples have shape {samples.shape}, must be (n_samples,) or (n_samples, n_channels)"
        )
    if samples.size and samples.dtype != np.int16 and samples.dtype.kind != "f":
        raise OptionError(f"samples are of type {samples.dtype}, must be float or int16")
    return _mono(samples, name)


@dataclass(frozen=True)
class _Sound:
    """An opened sound, whatever its source."""

    name: str
    rate: int
    read: Callable[[int], np.ndarray]  # the next n samples, fewer at the end
    n_promised: int | None = None  # samples of each channel by the header
    close: Callable[[], None] = lambda: None
    seek: Callable[[int], object] | None = None  # go to a sample; None: read up to it

    def blocks(self, n_samples: int, part: Part = WHOLE) -> Iterator[Samples]:
        """Yield mono blocks of n_samples, the last one shorter; at least one sample in all."""
        n_read = first = round(part.start * self.rate)
        self._skip(first)
        last = sys.maxsize if part.end is None else max(first + 1, round(part.end * self.rate))
        while n_read < last and len(block := self.read(min(n_samples, last - n_read))):
            yield _mono(block, self.name, part.channel, n_read)
            n_read += len(block)
        if self.n_promised is not None and n_read < min(last, self.n_promised):
            law = f"the header promises {self.n_promised} samples, the file has {n_read}"
            raise FormatError(f"truncated: {law}", self.name)
        if n_read == first:
            law = f"has nothing at {part.start} s" if first else "holds no samples"
            raise FormatError(f"{law}, must hold at least one sample", self.name)

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


def _blocks(
    source: Source, sample_rate: int | None, block_seconds: float, array_rate: int | None,
    part: Part,
) -> Iterator[Samples]:
    with closing(_open(source, array_rate)) as sound:
        blocks = sound.blocks(max(1, round(sound.rate * block_seconds)), part)
        if sample_rate is None or sample_rate == sound.rate:
            yield from blocks
            return
        resampler = soxr.ResampleStream(sound.rate, sample_rate, 1, dtype="float32")
        for block in blocks:
            if len(resampled := resampler.resample_chunk(block)):
                yield resampled
        if len(rest := resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)):
            yield rest


def _open(source: Source, array_rate: int | None) -> _Sound:
    if isinstance(source, np.ndarray):  # all of it is checked before the first block goes out
        return _Sound("<array>", cast(int, array_rate), _array_reader(as_samples(source)))
    if isinstance(source, str | os.PathLike):
        return _open_stdin(sys.stdin.buffer) if source == "-" else _open_path(Path(source))
    name = str(getattr(source, "name", "<file object>"))
    try:
        data = source.read()
    except (AttributeError, OSError) as error:
        raise OptionError(f"{name} cannot be read as a binary file: {error}") from None
    if not isinstance(data, bytes):
        raise OptionError(f"{name} gives {type(data).__name__}, must be opened in binary mode")
    return _open_file(data, name)


def _open_path(path: Path) -> _Sound:
    if not exists(path):
        raise MissingError(f"{path}: there is no such file")
    name = str(path)
    try:
        if path.suffix.lower() in RAW_SUFFIXES:
            stream = path.open("rb")
            return _Sound(name, RAW_RATE, _pipe_reader(stream, name), close=stream.close)
        return _open_file(path, name)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", path) from None


def _open_file(source: Path | bytes, name: str) -> _Sound:
    """Open a file, or the bytes of one, by libsndfile."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        head = check_head(stream, name)
    try:
        file = soundfile.SoundFile(_Memory(source) if isinstance(source, bytes) else name)
    except (soundfile.LibsndfileError, TypeError):
        law = "must be a format that libsndfile reads (wav, flac, ogg, mp3…)"
        raise FormatError(f"begins with {head!r}, {law}", name) from None
    n_promised = file.frames if file.format == "FLAC" and file.frames < UNKNOWN_LENGTH else None

    def read(n_samples: int) -> np.ndarray:
        try:
            return file.read(n_samples, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise FormatError(f"truncated or damaged audio: {error}", name) from None

    seek = file.seek if file.seekable() else None
    return _Sound(name, file.samplerate, read, n_promised, file.close, seek)


class _Memory(io.BytesIO):
    """A file in memory; libsndfile, when it tries formats, seeks to before the start of one."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, origin + offset))


def _open_stdin(stdin: BinaryIO) -> _Sound:
    name = "<stdin>"
    head = stdin.read(4)
    if head == b"RIFF":
        head += stdin.read(40)
        if (layout := plain_wav(head)) is not None:
            rate, n_channels, promised = layout
            return _Sound(name, rate, _pipe_reader(stdin, name, n_channels, promised), promised)
    if head.startswith(HEADERS):
        return _open_file(head + stdin.read(), name)
    return _Sound(name, RAW_RATE, _pipe_reader(stdin, name, head=head))


def _array_reader(left: Samples) -> Callable[[int], np.ndarray]:
    def read(n_samples: int) -> np.ndarray:
        nonlocal left
        block, left = left[:n_samples], left[n_samples:]
        return block

    return read


def _pipe_reader(
    pipe: BinaryIO, name: str, n_channels: int = 1, limit: int | None = None, head: bytes = b""
) -> Callable[[int], np.ndarray]:
    """Return a reader of 16-bit samples, up to a limit (what follows in a wav is no sound).

    `head` holds the bytes that were already read from the pipe to recognise its format.
    """
    width, left, waiting = 2 * n_channels, limit, head

    def read(n_samples: int) -> np.ndarray:
        nonlocal left, waiting
        n_bytes = width * (n_samples if left is None else min(n_samples, left))
        data, waiting = waiting[:n_bytes], waiting[n_bytes:]
        while len(data) < n_bytes and (more := pipe.read(n_bytes - len(data))):
            data += more
        if len(data) % width:
            raise FormatError(f"truncated: ends within a sample of {width} bytes", name)
        if left is not None:
            left -= len(data) // width
        return np.frombuffer(data, "<i2").astype(np.int16).reshape(-1, n_channels)

    return read


def _mono(
    samples: np.ndarray, name: str, channel: int | None = None, n_before: int = 0
) -> Samples:
    """Return one channel, or the mean of all, as float32; `n_before` samples came earlier."""
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / np.float32(32768)
    elif not (finite := np.isfinite(samples)).all():
        at = tuple(np.argwhere(~finite)[0])
        raise FormatError(f"sample {n_before + at[0]} is {samples[at]}, must be finite", name)
    elif samples.size and (loudest := float(max(samples.max(), -samples.min()))) > LOUDEST:
        raise FormatError(f"a sample of float is {loudest:g}, must lie within [-1, 1]", name)
    samples = samples.astype(np.float32, copy=False)
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channel is not None and channel > n_channels:
        raise FormatError(f"has {n_channels} channels, channel {channel} is asked for", name)
    if samples.ndim == 1:
        return samples
    if channel is not None or n_channels == 1:
        return np.ascontiguousarray(samples[:, (channel or 1) - 1])
    return samples.mean(axis=1, dtype=np.float32)


def _check_rates(source: object, sample_rate: int | None, array_rate: int | None) -> None:
    for name, rate in (("sample_rate", sample_rate), ("array_rate", array_rate)):
        if rate is not None and not rate > 0:
            raise OptionError(f"{name} is {rate}, must be positive")
    if isinstance(source, np.ndarray) and array_rate is None:
        raise OptionError("an array of samples needs array_rate, its samples a second")
    if not isinstance(source, np.ndarray) and array_rate is not None:
        raise OptionError("array_rate goes with an array of samples, not with a file")
