"""Binary files: numbers and texts one after the other, and nothing from beyond the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from factored_asr.errors import FormatError


class Cursor:
    """Takes arrays from the front of a file's bytes (or memory map), which they share.

    A size that the file claims is checked against the bytes left before memory is set aside.
    """

    def __init__(self, data: bytes | np.ndarray, path: str | Path, at: int = 0):
        self.data, self.path, self.at = data, Path(path), at

    @property
    def left(self) -> int:
        """Bytes from here to the end."""
        return len(self.data) - self.at

    def fail(self, message: str) -> NoReturn:
        """Raise a FormatError that names the file."""
        raise FormatError(message, self.path)

    def take(self, kind: str | np.dtype, count: int, what: str) -> np.ndarray:
        """Return the next `count` numbers, or records, of a type; FormatError if they lack."""
        n_bytes = count * np.dtype(kind).itemsize
        if not 0 <= n_bytes <= self.left:
            self.fail(f"{what} of {n_bytes} bytes cannot be in the {self.left} bytes left")
        self.at += n_bytes
        return np.frombuffer(self.data, kind, count, self.at - n_bytes)

    def number(self, kind: str, what: str) -> Any:
        """Return the next number of a type."""
        return self.take(kind, 1, what)[0].item()

    def text(self, what: str) -> str:
        """Return the next text: its length as a little-endian int32, then its bytes."""
        return self.take("u1", self.number("<i4", what), what).tobytes().decode("latin-1")
