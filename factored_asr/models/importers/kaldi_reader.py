"""Words, numbers and arrays of a Kaldi file, text or binary."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.storage.cursor import Cursor
from factored_asr.storage.reading import read_bytes

LARGEST = 1 << 31
_WORD = re.compile(rb"\S+")


class KaldiReader(Cursor):
    """Takes words, numbers and arrays, one after the other.

    A binary file begins with a zero byte and ``B``; a number then comes with its size before it, a
    vector or matrix with its kind and shape. A text file has the same words with blanks between.
    """

    def __init__(self, path: str | Path):
        self._bytes = read_bytes(path).removeprefix(codecs.BOM_UTF8)
        self.binary = self._bytes.startswith(b"\0B")
        super().__init__(self._bytes, path, at=2 if self.binary else 0)

    def fail(self, message: str) -> NoReturn:
        """Raise a FormatError that names the file, and the place in it."""
        if self.binary:
            raise FormatError(f"{message} (at byte {self.at})", self.path)
        raise FormatError(message, self.path, self._bytes.count(b"\n", 0, self.at) + 1)

    def peek(self) -> str:
        """Return the next word without taking it."""
        at, word = self.at, self.word()
        self.at = at
        return word

    def word(self) -> str:
        """Take the next word."""
        found = _WORD.search(self._bytes, self.at)
        if found is None:
            self.fail("ends too soon")
        self.at = found.end() + self.binary
        return found[0][:80].decode("latin-1")

    def expect(self, *words: str) -> None:
        """Take these words; FormatError where others follow."""
        for word in words:
            if (found := self.word()) != word:
                self.fail(f"must go on with {word}, goes on with {found!r}")

    def integer(self) -> int:
        """Take a 32-bit integer."""
        value = int(self._number("<i4", int))
        if not -LARGEST <= value < LARGEST:
            self.fail(f"must be a 32-bit number, is {value}")
        return value

    def real(self) -> float:
        """Take a number."""
        return float(self._number("<f4", float))

    def count(self, least: int) -> int:
        """Take the number of entries that follow, of `least` bytes or more each."""
        n = self.integer()
        if not 0 <= n <= self.left // least:
            self.fail(f"promises {n} entries, which the file is too short for")
        return n

    def integer_rows(self, n_rows: int, width: int) -> np.ndarray:
        """Take numbers that are written one by one, (n_rows, width) int32."""
        if self.binary:
            record = np.dtype([("size", "i1"), ("value", "<i4")])
            found = self.take(record, n_rows * width, "numbers")
            if (found["size"] != 4).any():
                self.fail("must be 32-bit numbers")
            return found["value"].reshape(n_rows, width).astype(np.int32)
        rows = [[self.integer() for _ in range(width)] for _ in range(n_rows)]
        return np.array(rows, np.int32).reshape(n_rows, width)

    def integers(self) -> np.ndarray:
        """Take a list of integers, int32."""
        if self.binary:
            if self.number("u1", "size of integers") != 4:
                self.fail("must be a list of 32-bit integers")
            return self.take("<i4", self.number("<i4", "number of integers"), "integers")
        values = self._floats(self._bracketed().split())
        if not (np.abs(values) < LARGEST).all() or (values % 1).any():
            self.fail("must be a list of 32-bit integers")
        return values.astype(np.int32)

    def vector(self) -> np.ndarray:
        """Take a vector, (n,) float64."""
        if not self.binary:
            return self._floats(self._bracketed().split())
        return self.take(self._kind("V"), self.integer(), "a vector").astype(np.float64)

    def matrix(self) -> np.ndarray:
        """Take a matrix, (n_rows, n_columns) float64."""
        if self.binary:
            kind, rows, columns = self._kind("M"), self.integer(), self.integer()
            if min(rows, columns) < 0:
                self.fail(f"a matrix of {rows} x {columns} numbers cannot be")
            values = self.take(kind, rows * columns, f"a matrix of {rows} x {columns} numbers")
            return values.reshape(rows, columns).astype(np.float64)
        lines = [line.split() for line in self._bracketed().split("\n") if line.strip()]
        if len({len(line) for line in lines}) > 1:
            self.fail("rows of a matrix must be of one length")
        return np.array([self._floats(line) for line in lines]).reshape(len(lines), -1)

    def boolean(self) -> bool:
        """Take T or F."""
        word = chr(self.number("u1", "T or F")) if self.binary else self.word()
        if word not in ("T", "F"):
            self.fail(f"must be T or F, is {word!r}")
        return word == "T"

    def line(self) -> str:
        """Take the rest of the line."""
        end = self._bytes.find(b"\n", self.at)
        if end < 0:
            self.fail("ends too soon")
        text = self._bytes[self.at : end].decode("latin-1")
        self.at = end + 1
        return text

    def symmetric(self) -> np.ndarray:
        """Take a symmetric matrix, of which the file has one half: (n, n) float64."""
        if self.binary:
            kind, n = self._kind("P"), self.integer()
            half = self.take(kind, n * (n + 1) // 2 if n >= 0 else -1, f"half of {n} x {n} numbers")
        else:
            half = self._floats(self._bracketed().split())
            n = int((np.sqrt(8 * len(half) + 1) - 1) / 2)
            if n * (n + 1) // 2 != len(half):
                self.fail("must be half of a matrix")
        full = np.zeros((n, n))
        full[np.tril_indices(n)] = half
        return full + np.tril(full, -1).T

    def _number(self, kind: str, parse: Callable[[str], float]) -> float:
        if self.binary:
            size = self.number("i1", "size of a number")
            if size == 8 and parse is float:
                return float(self.number("<f8", "a number"))
            if size not in (4, -4):  # minus: unsigned
                self.fail("must be a 32-bit number")
            return float(self.number(kind, "a number"))
        word = self.word()
        try:
            return parse(word)
        except ValueError:
            self.fail(f"must be a number, is {word!r}")

    def _kind(self, shape: str) -> str:
        word = self.word()
        if word not in (f"F{shape}", f"D{shape}"):
            if word.startswith("CM"):
                self.fail(f"a compressed matrix ({word}), which is not supported")
            self.fail(f"must be a vector or matrix F{shape} or D{shape}, is {word!r}")
        return "<f4" if word[0] == "F" else "<f8"

    def _bracketed(self) -> str:
        self.expect("[")
        end = self._bytes.find(b"]", self.at)
        if end < 0:
            self.fail("a bracket that is not closed")
        text = self._bytes[self.at : end].decode("latin-1")
        self.at = end + 1
        return text

    def _floats(self, words: Sequence[str]) -> np.ndarray:
        try:
            return np.array([float(word) for word in words])
        except ValueError as error:
            self.fail(f"no number: {error}")
