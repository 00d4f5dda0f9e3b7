"""Headers of sounds: what libsndfile does not check, and wav that is read while it is recorded."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from factored_asr.errors import FormatError

UNKNOWN_LENGTH = 0x7FFFF000  # a recorder that writes to a pipe claims this much or more


def plain_wav(head: bytes) -> tuple[int, int, int | None] | None:
    """Return rate, channels and promised samples of the usual 44-byte header of 16-bit samples.

    None for any other header. Such a wav can be read while it is still being recorded; any other
    file is read to its end first. The promise is None where the header leaves the length open.
    """
    if len(head) < 44 or head[8:16] != b"WAVEfmt ":
        return None
    size, kind, n_channels, rate, _, n_bytes, bits, data, n_data = struct.unpack(
        "<IHHIIHH4sI", head[16:44]
    )
    if (size, kind, bits, data) != (16, 1, 16, b"data") or 0 in (rate, n_channels):
        return None
    if n_bytes != 2 * n_channels:
        return None
    return rate, n_channels, n_data // n_bytes if 0 < n_data < UNKNOWN_LENGTH else None


def check_head(stream: BinaryIO, name: str) -> bytes:
    """Return the first bytes of a file; libsndfile does not report truncation.

    Raises FormatError if it is empty, or a wav whose header promises more data than there is.
    """
    n_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    if not head:
        raise FormatError("an empty file, audio has a header at least", name)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return head
    while len(chunk := stream.read(8)) == 8:
        kind, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        if kind == b"data":
            there = n_bytes - stream.tell()
            if there < size < UNKNOWN_LENGTH:
                law = f"the header promises {size} bytes of samples, the file has {there}"
                raise FormatError(f"truncated: {law}", name)
            return head
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise FormatError("truncated: a wav file without a data chunk", name)
