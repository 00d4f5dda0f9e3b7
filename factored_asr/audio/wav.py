"""WAV as recorders really write it, from files and from pipes.

A recorder that was interrupted, or writes into a pipe, cannot fill in the length of its samples: it
is 0, or far too large. Some headers are a few bytes off. What is there is read, and a notice says
what the header says. Layout: Microsoft and IBM, Multimedia Programming Interface and Data
Specifications 1.0 (1991); RF64: EBU Tech 3306.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from factored_asr.audio.ahead import Ahead
from factored_asr.errors import FormatError

Notice = Callable[[str], None]
"""Called with what is odd about a sound that is read all the same."""

UNKNOWN_LENGTH = 0x7FFFF000  # a recorder that writes to a pipe claims this many bytes or more
MISSING_SECONDS, MISSING_SHARE = 1.0, 0.25  # that may lack at the end: more is a lost part
MAX_CHANNELS = 1024
_MAX_HEADER = 1 << 26  # bytes before the samples: pictures, markers, notes
_MAX_FORMAT = 1 << 12
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE


@dataclass(frozen=True)
class Layout:
    """How samples lie in a WAV file."""

    rate: int
    """Samples a second."""
    n_channels: int
    code: int
    """Of the format: 1 integers, 3 floats, 6 A-law, 7 µ-law."""
    width: int
    """Bytes of one sample of one channel."""
    order: str
    """``<`` or ``>``, as in numpy's types."""
    start: int
    """Bytes before the samples."""
    promised: int
    """Bytes of samples by the header."""

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return self.width * self.n_channels


def read_layout(ahead: Ahead) -> Layout | None:
    """Return the layout of the WAV file that begins here, of which nothing is consumed.

    None for samples that are packed in another way, such as ADPCM. Raises FormatError for a broken
    header.
    """
    head = ahead.peek(12)
    order = ">" if head[:4] == b"RIFX" else "<"
    at, form, long_size = 12, b"", None
    while True:
        head = ahead.peek(at + 8)
        if len(head) < at + 8:
            raise FormatError("truncated: a wav file without a data chunk", ahead.name)
        kind, size = struct.unpack(f"{order}4sI", head[at:])
        at += 8
        if kind == b"data":
            promised = long_size if long_size is not None and size == 0xFFFFFFFF else size
            return _layout(form, order, at, promised, ahead.name)
        if kind in (b"fmt ", b"ds64"):
            content = ahead.peek(at + min(size, _MAX_FORMAT))[at:]
            if kind == b"fmt ":
                form = content
            elif len(content) >= 16:
                long_size = struct.unpack("<8xQ", content[:16])[0]
        at += size
        if at > _MAX_HEADER:
            raise FormatError(f"a chunk {kind!r} of {size} bytes stands before the samples, a "
                              f"header has at most {_MAX_HEADER}", ahead.name)
        if size % 2 and not ahead.peek(at + 1)[at:].isalnum():  # some leave the padding out
            at += 1


def _layout(form: bytes, order: str, start: int, promised: int, name: str) -> Layout | None:
    if len(form) < 14:
        raise FormatError("a wav file without a whole fmt chunk before its samples", name)
    code, n_channels, rate, _, align = struct.unpack(f"{order}HHIIH", form[:14])
    bits = struct.unpack(f"{order}H", form[14:16])[0] if len(form) >= 16 else 0
    if code == _EXTENSIBLE and len(form) >= 26:
        code = struct.unpack(f"{order}H", form[24:26])[0]
    if not (rate and 0 < n_channels <= MAX_CHANNELS):
        raise FormatError(f"a wav file of {n_channels} channels at {rate} Hz, must have 1 to "
                          f"{MAX_CHANNELS} and a rate", name)
    widths = {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8), _A_LAW: (1,), _MU_LAW: (1,)}.get(code, ())
    if not widths:
        return None
    width = align // n_channels if align % n_channels == 0 else 0
    if not bits <= 8 * width or width not in widths:  # some recorders fill it in wrongly
        width = (bits + 7) // 8
    if width not in widths or not 8 <= (bits or 8 * width) <= 8 * width:
        raise FormatError(f"a wav file with samples of {bits} bits in {align} bytes for "
                          f"{n_channels} channels, which does not fit", name)
    return Layout(rate, n_channels, code, width, order, start, promised)


def lack(law: str, seconds: float, share: float, name: str) -> str:
    """Return the notice of a sound whose end is missing; FormatError where that is too much.

    `law` says how much there should be, and is; `seconds` and `share` of it are missing.
    """
    if seconds > MISSING_SECONDS or share > MISSING_SHARE:
        raise FormatError(f"truncated: {law}", name)
    return f"{law}, which are read"


class WavReader:
    """Reads the samples of a WAV file whose header has been read; `notice` gets what is odd."""

    def __init__(self, ahead: Ahead, layout: Layout, notice: Notice):
        self._ahead, self._layout, self._notice = ahead, layout, notice
        ahead.skip(layout.start)
        self._left = self._length()
        self.n_samples = None if self._left is None else self._left // layout.frame
        """Of each channel, by the header; None where it leaves the length open."""

    def _length(self) -> int | None:
        """Bytes to read; None: up to the end, however far that is."""
        promised, there = self._layout.promised, self._ahead.size
        if there is not None:
            there -= self._ahead.at
        if promised == 0:
            if there == 0 or self._is_chunk(there or UNKNOWN_LENGTH):
                return 0
            if there is not None:
                self._notice("its header promises no samples (the recorder was interrupted?): "
                             f"all {there} bytes that follow are read")
            return None
        if promised >= UNKNOWN_LENGTH and (there is None or there < promised):
            if there is not None:
                self._notice(f"its header leaves the length open: all {there} bytes that follow "
                             "are read")
            return None
        return promised

    def _is_chunk(self, there: int) -> bool:
        """Whether what follows is another chunk: the file is whole and truly has no samples."""
        head = self._ahead.peek(8)
        if len(head) < 8:
            return False
        kind, size = struct.unpack(f"{self._layout.order}4sI", head)
        return kind.isascii() and kind.decode().isprintable() and size <= there - 8

    def read(self, n_samples: int) -> np.ndarray:
        """Return the next samples, (n, n_channels) of int16 or float32; fewer at the end."""
        frame = self._layout.frame
        wanted = n_samples * frame
        if self._left is not None:
            wanted = min(wanted, self._left)
        data = self._ahead.read(wanted)
        if self._left is not None:
            self._left -= len(data)
            if len(data) < wanted:
                self._missing(self._left)
                self._left = 0
            elif wanted and not self._left:
                self._look_behind()
        if rest := len(data) % frame:
            self._notice(f"ends within a sample of {frame} bytes: its last {rest} bytes are "
                         "left out")
            data = data[: len(data) - rest]
        return decode(data, self._layout).reshape(-1, self._layout.n_channels)

    def _look_behind(self) -> None:
        """Tell of more sound behind the samples of a file, such as of two files in one."""
        head = self._ahead.peek(9) if self._ahead.size is not None else b""
        if head[self._layout.promised % 2 :].startswith((b"RIFF", b"data")):
            self._notice("more samples follow behind those that its header promises, as where two "
                         "files are joined: they are not read")

    def _missing(self, n_bytes: int) -> None:
        """Tell of a few bytes that lack at the end; refuse a sound that lacks much."""
        layout = self._layout
        law = (f"the header promises {layout.promised} bytes of samples, "
               f"there are {layout.promised - n_bytes}")
        seconds = n_bytes / (layout.frame * layout.rate)
        self._notice(lack(law, seconds, n_bytes / layout.promised, self._ahead.name))

    def seek(self, sample: int) -> None:
        """Pass over the first samples of each channel; nothing may have been read before."""
        n_bytes = sample * self._layout.frame
        if self._left is not None:
            n_bytes = min(n_bytes, self._left)
            self._left -= n_bytes
        self._ahead.skip(n_bytes)


def decode(data: bytes, layout: Layout) -> np.ndarray:
    """Return whole samples as int16, or as float32 on the scale of [-1, 1]."""
    if layout.code == _FLOAT:
        with np.errstate(over="ignore"):
            return np.frombuffer(data, f"{layout.order}f{layout.width}").astype(np.float32)
    if layout.code in (_A_LAW, _MU_LAW):
        table = _A_LAW_TABLE if layout.code == _A_LAW else _MU_LAW_TABLE
        return table[np.frombuffer(data, np.uint8)]
    if layout.width == 2:
        return np.frombuffer(data, f"{layout.order}i2").astype(np.int16)
    if layout.width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if layout.width == 4:
        whole = np.frombuffer(data, f"{layout.order}i4")
        return (whole / 2.0**31).astype(np.float32)
    three = np.frombuffer(data, np.uint8).reshape(-1, 3)
    three = three if layout.order == "<" else three[:, ::-1]
    wide = np.zeros((len(three), 4), np.uint8)
    wide[:, 1:] = three
    return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2.0**31)


def _mu_law() -> np.ndarray:
    """The 256 values of µ-law, ITU-T G.711, as int16."""
    code = ~np.arange(256, dtype=np.uint8)
    value = ((code & 15).astype(np.int32) * 8 + 132 << (code >> 4 & 7)) - 132
    return np.where(code & 128, -value, value).astype(np.int16)


def _a_law() -> np.ndarray:
    """The 256 values of A-law, ITU-T G.711, as int16."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    step, value = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32) * 16 + 8
    value = np.where(step, value + 256 << np.maximum(step - 1, 0), value)
    return np.where(code & 128, value, -value).astype(np.int16)


_MU_LAW_TABLE, _A_LAW_TABLE = _mu_law(), _a_law()
