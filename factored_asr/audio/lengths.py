"""Lengths that recorders leave wrong in headers of AIFF, AU and CAF, where libsndfile gives up.

A recorder that was interrupted, or writes into a pipe, leaves a length of 0, or one that is open,
or too large. Layouts: Apple, Audio Interchange File Format 1.3 (1989) and Core Audio Format 1.0
(2011); Sun, audio_hdr(4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = 1 << 16
"""Bytes of a file that are looked at."""
_PLAIN = (b"lpcm", b"ulaw", b"alaw")  # CAF whose samples need no table behind them


@dataclass(frozen=True)
class Length:
    """A length that a header has to have."""

    at: int
    """Where it stands, bytes from the start of the file."""
    packed: bytes
    """What must stand there."""
    promised: int | None
    """Bytes of samples by the header; None where it leaves them open."""
    there: int
    """Bytes of samples that there are."""

    def put_into(self, data: bytes) -> bytes:
        """Return the bytes of the file with the right length."""
        return data[: self.at] + self.packed + data[self.at + len(self.packed) :]


def right_length(head: bytes, size: int) -> Length | None:
    """Return the length that a file should have; None where its own will do.

    `head` holds the first `HEAD` bytes of the file, `size` is that of the whole file in bytes.

    >>> cut = b".snd" + struct.pack(">5I", 24, 0, 3, 16000, 1) + bytes(100)
    >>> right_length(cut, len(cut))
    Length(at=8, packed=b'\\x00\\x00\\x00d', promised=0, there=100)
    """
    if head[:4] in (b".snd", b"dns.") and len(head) >= 24:
        return _of_au(head, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _of_aiff(head, size)
    if head[:4] == b"caff":
        return _of_caf(head, size)
    return None


def _of_au(head: bytes, size: int) -> Length | None:
    order = ">" if head[:4] == b".snd" else "<"
    start, promised = struct.unpack(f"{order}II", head[4:12])
    there = size - start
    if promised or not 0 < there < 1 << 32:
        return None
    return Length(8, struct.pack(f"{order}I", there), 0, there)


def _of_aiff(head: bytes, size: int) -> Length | None:
    """The chunk of the samples holds 8 bytes before them."""
    for at, kind, promised in _chunks(head, 12, ">4sI"):
        there = size - at - 16
        if kind == b"SSND":
            if promised != 8 or _is_chunk(head[at + 16 :]) or not 0 < there < (1 << 32) - 8:
                return None
            return Length(at + 4, struct.pack(">I", there + 8), 0, there)
    return None


def _of_caf(head: bytes, size: int) -> Length | None:
    """The chunk of the samples holds 4 bytes before them; a length of -1 leaves it open."""
    for at, kind, promised in _chunks(head, 8, ">4sq"):
        there = size - at - 16
        if kind == b"data":
            if there <= 0 or promised in (0, 4) and _is_chunk(head[at + 16 :]):
                return None
            is_long = promised - 4 > there and head[28:32] in _PLAIN
            if promised not in (-1, 0, 4) and not is_long:
                return None
            law = None if promised == -1 else max(0, promised - 4)
            return Length(at + 4, struct.pack(">q", there + 4), law, there)
    return None


def _chunks(head: bytes, at: int, layout: str) -> Iterator[tuple[int, bytes, int]]:
    """Yield place, kind and length of the chunks that begin within the head."""
    n_bytes = struct.calcsize(layout)
    while at + n_bytes <= len(head):
        kind, size = struct.unpack_from(layout, head, at)
        yield at, kind, size
        if size < 0:
            return
        at += n_bytes + size + (size % 2 if layout.endswith("I") else 0)


def _is_chunk(data: bytes) -> bool:
    """Whether bytes begin as a chunk does, with four letters; samples hardly do."""
    return len(data) >= 8 and data[:4].isascii() and data[:4].decode().isprintable()
