"""Words, numbers and arrays of a Kaldi file, text or binary.

A binary file begins with a zero byte and ``B``; numbers then come with their size before them,
vectors and matrices with their kind and shape. A text file has the same words with blanks between.
Sizes that a file claims are held against what is left of it before anything is made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from factored_asr.errors import FormatError, MissingError

LARGEST = 1 << 31


class KaldiReader:
    """Words, numbers and arrays of a file, one after the other."""

    def __init__(self, path: str | Path):
        self.path, self._at = Path(path), 0
        try:
            self._data = self.path.read_bytes()
        except OSError as error:
            raise MissingError(f"{path}: cannot be read: {error.strerror}") from error
        self.binary = self._data[:2] == b"\0B"
        if self.binary:
            self._at = 2

    def fail(self, message: str) -> NoReturn:
        """Raise a FormatError that names the file, and the place in it."""
        line = None if self.binary else self._data.count(b"\n", 0, self._at) + 1
        where = f" (at byte {self._at})" if self.binary else ""
        raise FormatError(message + where, self.path, line)

    def peek(self) -> str:
        """Return the next word without taking it."""
        at = self._at
        word = self.word()
        self._at = at
        return word

    def word(self) -> str:
        """Take the next word."""
        data = self._data
        while self._at < len(data) and data[self._at : self._at + 1].isspace():
            self._at += 1
        end = self._at
        while end < len(data) and not data[end : end + 1].isspace():
            end += 1
        word = data[self._at : end]
        self._at = end + 1 if self.binary else end
        if not word:
            self.fail("ends too soon")
        return word[:80].decode("latin-1")

    def expect(self, *words: str) -> None:
        """Take these words; FormatError where others follow."""
        for word in words:
            found = self.word()
            if found != word:
                self.fail(f"must go on with {word}, goes on with {found!r}")

    def integer(self) -> int:
        """Take a 32-bit integer."""
        value = int(self._number("<i", int))
        if not -LARGEST <= value < LARGEST:
            self.fail(f"must be a 32-bit number, is {value}")
        return value

    def real(self) -> float:
        """Take a number."""
        return float(self._number("<f", float))

    def count(self, least: int) -> int:
        """Take the number of entries that follow, of `least` bytes or more each."""
        n = self.integer()
        if not 0 <= n <= (len(self._data) - self._at) // least:
            self.fail(f"promises {n} entries, which the file is too short for")
        return n

    def integers(self) -> np.ndarray:
        """Take a list of integers, int32."""
        if not self.binary:
            values = self._floats(self._bracketed().split())
            if not (np.abs(values) < LARGEST).all() or (values % 1).any():
                self.fail("must be a list of 32-bit integers")
            return values.astype(np.int32)
        if self._take(1) != b"\4":
            self.fail("must be a list of 32-bit integers")
        return np.frombuffer(self._take(4 * self._raw_size(4)), "<i4")

    def vector(self) -> np.ndarray:
        """Take a vector, (n,) float64."""
        if not self.binary:
            return self._floats(self._bracketed().split())
        kind = self._kind("V")
        n = self._sizes(1, kind)[0]
        return np.frombuffer(self._take(n * kind.itemsize), kind).astype(np.float64)

    def matrix(self) -> np.ndarray:
        """Take a matrix, (n_rows, n_columns) float64."""
        if self.binary:
            kind = self._kind("M")
            rows, columns = self._sizes(2, kind)
            values = np.frombuffer(self._take(rows * columns * kind.itemsize), kind)
            return values.reshape(rows, columns).astype(np.float64)
        lines = [line.split() for line in self._bracketed().split("\n") if line.strip()]
        if len({len(line) for line in lines}) > 1:
            self.fail("rows of a matrix must be of one length")
        return np.array([self._floats(line) for line in lines]).reshape(len(lines), -1)

    def _number(self, code: str, parse: Callable[[str], float]) -> float:
        if not self.binary:
            word = self.word()
            try:
                return parse(word)
            except ValueError:
                self.fail(f"must be a number, is {word!r}")
        if self._take(1) not in (b"\4", b"\xfc"):  # the sign of the size: unsigned
            self.fail("must be a 32-bit number")
        return float(struct.unpack(code, self._take(4))[0])

    def _take(self, n_bytes: int) -> bytes:
        taken = self._data[self._at : self._at + n_bytes]
        if len(taken) < n_bytes:
            self.fail(f"ends too soon: {n_bytes} bytes must follow")
        self._at += n_bytes
        return taken

    def _raw_size(self, item: int) -> int:
        n = int(struct.unpack("<i", self._take(4))[0])
        if not 0 <= n * item <= len(self._data) - self._at:
            self.fail(f"promises {n} numbers, which the file is too short for")
        return n

    def _kind(self, shape: str) -> np.dtype:
        word = self.word()
        if word not in (f"F{shape}", f"D{shape}"):
            self.fail(f"must be a vector or matrix F{shape} or D{shape}, is {word!r}")
        return np.dtype(np.float32 if word[0] == "F" else np.float64)

    def _sizes(self, n: int, kind: np.dtype) -> list[int]:
        sizes = [self.integer() for _ in range(n)]
        total = kind.itemsize * int(np.prod(np.array(sizes, dtype=object)))
        if min(sizes) < 0 or total > len(self._data) - self._at:
            self.fail(f"promises {' x '.join(map(str, sizes))} numbers, is too short for them")
        return sizes

    def _bracketed(self) -> str:
        self.expect("[")
        end = self._data.find(b"]", self._at)
        if end < 0:
            self.fail("a bracket that is not closed")
        text = self._data[self._at : end].decode("latin-1")
        self._at = end + 1
        return text

    def _floats(self, words: Sequence[str]) -> np.ndarray:
        try:
            return np.array([float(word) for word in words])
        except ValueError as error:
            self.fail(f"no number: {error}")
