"""What the first bytes of a sound say, where libsndfile does not look or does not tell."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from factored_asr.errors import FormatError

UNKNOWN_LENGTH = 0x7FFFF000  # a recorder that writes to a pipe claims this much or more


def plain_wav(head: bytes) -> tuple[int, int, int | None] | None:
    """Rate, channels and promised samples, if 44 bytes are the usual header of 16-bit samples.

    Such a wav can be read while it is still being recorded; any other is read to its end first.
    """
    if len(head) < 44 or head[8:16] != b"WAVEfmt " or head[36:40] != b"data":
        return None
    size, kind, n_channels, rate, _, n_bytes, bits = struct.unpack("<IHHIIHH", head[16:36])
    if (size, kind, bits) != (16, 1, 16) or n_channels == 0 or n_bytes != 2 * n_channels:
        return None
    if rate == 0:
        return None
    (n_data,) = struct.unpack("<I", head[40:44])
    return rate, n_channels, n_data // n_bytes if 0 < n_data < UNKNOWN_LENGTH else None


def check_head(stream: BinaryIO, n_bytes: int, name: str) -> bytes:
    """First bytes of a file; an error where a wav promises more data than the file has.

    libsndfile reads what is there and does not tell.
    """
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
                raise FormatError(
                    f"truncated: the header promises {size} bytes of samples, "
                    f"the file has {there}",
                    name,
                )
            return head
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise FormatError("truncated: a wav file without a data chunk", name)
