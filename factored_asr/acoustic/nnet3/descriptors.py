"""Descriptors of nnet3: what a node of a network takes from other nodes, and at which frames.

``Append(Offset(input, -1), input, Offset(input, 1), ReplaceIndex(ivector, t, 0))`` is a tree; the
i-vector has one row a frame here, so ``ReplaceIndex`` and ``Round`` of it change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from factored_asr.errors import FormatError

Rows = Callable[[str, range, bool], np.ndarray]
"""Gives the rows of a node at some frames; the flag allows frames before its first: zeros."""
IVECTOR = "ivector"
MAX_DEPTH = 50
LARGEST = 1e6
"""Number in a descriptor."""
_WORD = re.compile(r"\s*([(),]|[^\s(),]+)")


@dataclass(frozen=True)
class Name:
    """The rows of a node itself."""

    node: str

    def rows(self, rows: Rows, frames: range, optional: bool = False) -> np.ndarray:
        return rows(self.node, frames, optional)

    def dim(self, dims: Callable[[str], int]) -> int:
        return dims(self.node)

    def sources(self) -> Iterator[tuple[str, int, bool]]:
        yield self.node, 0, False


@dataclass(frozen=True)
class Offset:
    """Those of other frames."""

    of: Descriptor
    by: int

    def rows(self, rows: Rows, frames: range, optional: bool = False) -> np.ndarray:
        moved = range(frames.start + self.by, frames.stop + self.by, frames.step)
        return self.of.rows(rows, moved, optional)

    def dim(self, dims: Callable[[str], int]) -> int:
        return self.of.dim(dims)

    def sources(self) -> Iterator[tuple[str, int, bool]]:
        for node, by, optional in self.of.sources():
            yield node, by + self.by, optional


@dataclass(frozen=True)
class IfDefined:
    """Those of a node where it has any, else zeros: how recurrent networks begin."""

    of: Descriptor

    def rows(self, rows: Rows, frames: range, optional: bool = False) -> np.ndarray:
        return self.of.rows(rows, frames, True)

    def dim(self, dims: Callable[[str], int]) -> int:
        return self.of.dim(dims)

    def sources(self) -> Iterator[tuple[str, int, bool]]:
        for node, by, _ in self.of.sources():
            yield node, by, True


@dataclass(frozen=True)
class Scale:
    """Those of a node times a number."""

    by: float
    of: Descriptor

    def rows(self, rows: Rows, frames: range, optional: bool = False) -> np.ndarray:
        return np.float32(self.by) * self.of.rows(rows, frames, optional)

    def dim(self, dims: Callable[[str], int]) -> int:
        return self.of.dim(dims)

    def sources(self) -> Iterator[tuple[str, int, bool]]:
        yield from self.of.sources()


@dataclass(frozen=True)
class Const:
    """Rows of one number."""

    value: float
    n: int

    def rows(self, rows: Rows, frames: range, optional: bool = False) -> np.ndarray:
        return np.full((len(frames), self.n), self.value, np.float32)

    def dim(self, dims: Callable[[str], int]) -> int:
        return self.n

    def sources(self) -> Iterator[tuple[str, int, bool]]:
        yield from ()


@dataclass(frozen=True)
class Several:
    """Several side by side (Append), or added (Sum)."""

    parts: tuple[Descriptor, ...]
    is_sum: bool

    def rows(self, rows: Rows, frames: range, optional: bool = False) -> np.ndarray:
        found = [part.rows(rows, frames, optional) for part in self.parts]
        if not self.is_sum:
            return np.concatenate(found, axis=1)
        total = found[0] + found[1]
        for more in found[2:]:
            total += more
        return total

    def dim(self, dims: Callable[[str], int]) -> int:
        each = [part.dim(dims) for part in self.parts]
        if self.is_sum and len(set(each)) > 1:
            raise FormatError(f"a sum of rows of {' and '.join(map(str, each))} elements")
        return each[0] if self.is_sum else sum(each)

    def sources(self) -> Iterator[tuple[str, int, bool]]:
        for part in self.parts:
            yield from part.sources()


Descriptor = Name | Offset | IfDefined | Scale | Const | Several


def parse_descriptor(text: str) -> Descriptor:
    """Return the tree of a descriptor.

    Raises FormatError where it breaks the format, or has a part that is not supported. Those are
    Switch, Failover, offsets other than in time, and Round and ReplaceIndex of anything but the
    i-vector.

    >>> parse_descriptor("Sum(Scale(0.66, a), Offset(b, -3))").dim({"a": 8, "b": 8}.get)
    8
    """
    words = _WORD.findall(text)
    if "".join(words) != "".join(text.split()):
        raise FormatError(f"descriptor {text!r} cannot be read")
    parser = _Parser(text, words[::-1])
    found = parser.descriptor(0)
    if parser.words:
        raise FormatError(f"descriptor {text!r} goes on after its end")
    return found


@dataclass
class _Parser:
    """Takes words from the end of a list: those of a descriptor, backwards."""

    text: str
    words: list[str]

    def fail(self, why: str) -> FormatError:
        return FormatError(f"descriptor {self.text!r}: {why}")

    def take(self, *expected: str) -> str:
        if not self.words or expected and self.words[-1] not in expected:
            raise self.fail(f"{' or '.join(expected) or 'a word'} must follow")
        return self.words.pop()

    def number(self, kind: type) -> float:
        word = self.take()
        try:
            value = float(kind(word))
        except ValueError:
            raise self.fail(f"{word!r} must be a number") from None
        if not np.isfinite(value) or abs(value) > LARGEST:
            raise self.fail(f"{word!r} is out of range")
        return value

    def descriptor(self, depth: int) -> Descriptor:
        if depth > MAX_DEPTH:
            raise self.fail("it nests too deep")
        name = self.take()
        if name in "(),":
            raise self.fail(f"{name!r} where a node must stand")
        if not self.words or self.words[-1] != "(":
            return Name(name)
        self.take("(")
        found = self.function(name, depth + 1)
        self.take(")")
        return found

    def function(self, name: str, depth: int) -> Descriptor:
        if name in ("Append", "Sum"):
            parts = [self.descriptor(depth)]
            while self.words and self.words[-1] == ",":
                self.take(",")
                parts.append(self.descriptor(depth))
            return Several(tuple(parts), name == "Sum") if len(parts) > 1 else parts[0]
        if name in ("Scale", "Const"):
            value = self.number(float)
            self.take(",")
            if name == "Scale":
                return Scale(value, self.descriptor(depth))
            return Const(value, int(self.number(int)))
        if name not in ("Offset", "IfDefined", "ReplaceIndex", "Round"):
            raise self.fail(f"{name} is not supported")
        of = self.descriptor(depth)
        if name == "IfDefined":
            return IfDefined(of)
        self.take(",")
        if name == "Offset":
            return Offset(of, int(self.number(int)))
        if of != Name(IVECTOR):
            raise self.fail(f"{name} is supported of the i-vector alone")
        if name == "ReplaceIndex":
            self.take("t")
            self.take(",")
        self.number(int)
        return of
