"""Sound from anywhere, as one array of samples: mono, float32, within [-1, 1].

What a sound is, its first bytes say, whatever its name. WAV is read here, libsndfile reads other
files (flac, ogg, mp3 and more), the program ffmpeg what libsndfile cannot; soxr changes the rate.
Bare samples, 16-bit little-endian and mono, are read where their rate is given, and from files
named ``.raw`` or ``.pcm``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import closing
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import ArrayLike

from factored_asr.audio.arrays import Samples, checked, is_array, mono
from factored_asr.audio.opening import (
    BLOCK_SAMPLES,
    FASTEST,
    SLOWEST,
    WHOLE,
    Part,
    Source,
    is_bare,
    open_path,
    open_source,
)
from factored_asr.audio.wav import Notice
from factored_asr.errors import FormatError, OptionError, SoundWarning


def warn(text: str) -> None:
    """Warn of what is odd about a sound that is read all the same."""
    warnings.warn(text, SoundWarning, stacklevel=2)


def read_audio(
    source: Source, *, sample_rate: int | None = None, array_rate: int | None = None,
    notice: Notice = warn,
) -> tuple[Samples, int]:
    """Read a whole sound.

    Parameters
    ----------
    source
        A path, a binary file object, the bytes of a file, ``"-"`` for standard input, or an array
        as for `as_samples`. Channels are averaged.
    sample_rate
        Hz to resample to; None keeps the rate.
    array_rate
        Hz of what says no rate itself: an array, or bare samples (16-bit little-endian, mono).
        Bare samples may come from standard input, a file object, bytes, or a file named ``.raw`` or
        ``.pcm``; their default is 16,000 Hz.
    notice
        Called with what is odd about a sound that is read all the same, such as a header with a
        wrong length; the default gives a `SoundWarning`.

    Returns the samples, (n_samples,), at least one, and their rate in Hz. Raises FormatError if the
    sound is empty, truncated, no audio, or holds a sample that is not finite. MissingError if there
    is no such file; OptionError for a rate that makes no sense, or an array without one.

    Examples
    --------
    >>> samples, rate = read_audio(np.zeros(800, np.int16), array_rate=8000, sample_rate=16000)
    >>> samples.shape, samples.dtype, rate
    ((1600,), dtype('float32'), 16000)
    """
    _check_rates(source, sample_rate, array_rate)
    with closing(open_source(source, array_rate, notice)) as sound:
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
    array_rate: int | None = None, part: Part = WHOLE, notice: Notice = warn,
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
    return _blocks(source, sample_rate, block_seconds, array_rate, part, notice)


class About(NamedTuple):
    """What a header says of a sound."""

    rate: int
    """Samples a second."""
    n_channels: int
    n_samples: int | None
    """Of each channel; None where the header leaves the length open."""

    @property
    def seconds(self) -> float:
        """Length; 0.0 where it is not known."""
        return (self.n_samples or 0) / self.rate


def describe(path: str | os.PathLike[str], array_rate: int | None = None) -> About:
    """Return what the header of a sound file says.

    `array_rate` is as of `read_audio`. Raises FormatError or MissingError where it cannot be read.
    """
    with closing(open_path(Path(path), array_rate, lambda text: None)) as sound:
        return About(sound.rate, sound.n_channels, sound.n_samples)


def as_samples(array: ArrayLike | bytes, name: str = "<array>") -> Samples:
    """Check samples and convert them to mono float32.

    `array` is (n_samples,), (n_samples, n_channels) or (n_channels, n_samples), float in [-1, 1] or
    int16, perhaps empty; or bytes of little-endian int16. Of two axes, the one of at most
    `MAX_CHANNELS` is that of the channels; (n_samples, n_channels) where both are so short. `name`
    is its name in errors. Raises FormatError for a sample that is not finite or far outside
    [-1, 1], OptionError for an array of another type or shape.

    Examples
    --------
    >>> as_samples(np.array([[-32768, 0], [16384, 0]], dtype=np.int16)).tolist()
    [-0.5, 0.25]
    >>> as_samples(np.zeros((2, 16000))).shape, as_samples(b"\\x00\\x40").tolist()
    ((16000,), [0.5])
    """
    return mono(checked(array), name)


def _blocks(
    source: Source, sample_rate: int | None, block_seconds: float, given_rate: int | None,
    part: Part, notice: Notice,
) -> Iterator[Samples]:
    with closing(open_source(source, given_rate, notice)) as sound:
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


def check_rate(source: object, rate: float | None, name: str = "sample_rate") -> None:
    """Raise OptionError where a source needs a rate and has none, or has one that it cannot have.

    `name` is that of the argument, for the message.
    """
    if rate is not None and not (isinstance(rate, Real) and SLOWEST <= rate <= FASTEST):
        raise OptionError(f"{name} is {rate!r}, must be {SLOWEST} to {FASTEST} Hz")
    if rate is None and is_array(source):
        raise OptionError(f"an array of samples needs its rate, such as {name}=16000")
    if rate is not None and isinstance(source, str | os.PathLike) and not is_bare(source):
        raise OptionError(f"{name} goes with an array, or with bare samples; the file {source} "
                          "says its own rate")


def _check_rates(source: object, sample_rate: int | None, array_rate: int | None) -> None:
    if sample_rate is not None and not (isinstance(sample_rate, Real) and sample_rate > 0):
        raise OptionError(f"sample_rate is {sample_rate!r}, must be positive")
    check_rate(source, array_rate, "array_rate")
