"""A stream whose next bytes can be looked at before they are read."""

from __future__ import annotations

import io
import os
import stat
from typing import Protocol

from factored_asr.errors import FormatError, OptionError

_PART = 1 << 20


class Readable(Protocol):
    """What sound can be read from: a file, a pipe, standard input."""

    def read(self, n: int, /) -> bytes:
        """Return at most n bytes; none at the end."""


class Ahead:
    """Reads a stream, and may look ahead.

    `name` names the stream in errors; `size` are the bytes from here to its end, None for a pipe.
    """

    def __init__(self, stream: Readable, name: str):
        self._stream, self.name = stream, name
        self._waiting = b""
        self.at = 0
        """Bytes read so far."""
        self.size = _size(stream)

    def peek(self, n_bytes: int) -> bytes:
        """Return the next bytes, fewer at the end, which stay to be read."""
        while len(self._waiting) < n_bytes and (more := self._more(n_bytes - len(self._waiting))):
            self._waiting += more
        return self._waiting[:n_bytes]

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes, fewer only at the end."""
        data, self._waiting = self._waiting[:n_bytes], self._waiting[n_bytes:]
        parts, missing = [data], n_bytes - len(data)
        while missing and (more := self._more(missing)):
            parts.append(more)
            missing -= len(more)
        self.at += n_bytes - missing
        return b"".join(parts)

    def read_some(self, n_bytes: int) -> bytes:
        """Return what has come of the next bytes, at least one; none at the end."""
        data, self._waiting = self._waiting[:n_bytes], self._waiting[n_bytes:]
        data = data or self._more(n_bytes)
        self.at += len(data)
        return data

    def read_all(self) -> bytes:
        """Return all that is left."""
        parts = []
        while data := self.read(_PART):
            parts.append(data)
        return b"".join(parts)

    def skip(self, n_bytes: int) -> None:
        """Pass over bytes, at most to the end."""
        if self.size is not None and n_bytes > len(self._waiting):
            n_bytes = min(n_bytes, self.size - self.at)
            seek = getattr(self._stream, "seek")  # noqa: B009
            seek(n_bytes - len(self._waiting), io.SEEK_CUR)
            self._waiting = b""
            self.at += n_bytes
            return
        while n_bytes and (data := self.read(min(n_bytes, _PART))):
            n_bytes -= len(data)

    def _more(self, n_bytes: int) -> bytes:
        try:
            data = self._stream.read(min(n_bytes, _PART))
        except OSError as error:
            raise FormatError(f"cannot be read: {error.strerror or error}", self.name) from None
        if data is None:
            raise FormatError("has nothing to read yet: it must be open to wait", self.name)
        if not isinstance(data, bytes | bytearray | memoryview):
            kind = type(data).__name__
            raise OptionError(f"{self.name} gives {kind}, must be opened in binary mode")
        return bytes(data)


def _size(stream: Readable) -> int | None:
    """Bytes from here to the end of a plain file or of bytes in memory; None for others."""
    if isinstance(stream, io.IOBase) and not stream.seekable():
        return None
    if isinstance(stream, io.BytesIO):
        return max(0, len(stream.getbuffer()) - stream.tell())
    file = stream.raw if isinstance(stream, io.BufferedReader | io.BufferedRandom) else stream
    if not isinstance(file, io.FileIO):  # what unpacks, say, has the number of a packed file
        return None
    try:
        about = os.fstat(file.fileno())
        regular = stat.S_ISREG(about.st_mode)
        return max(0, about.st_size - stream.tell()) if regular else None  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return None
