"""Texts to count words in: one sentence a line, words with white space between."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from factored_asr.errors import FormatError, MissingError
from factored_asr.language.arpa import GZIP_MAGIC
from factored_asr.language.ngram import BEGIN, END, EPSILON


def read_sentences(*sources: str | Path) -> Iterator[list[str]]:
    """Read the sentences of text files, plain or gzip; ``"-"`` is standard input.

    ``<s>`` at the beginning of a line and ``</s>`` at its end are dropped, and so are blank lines.

    Raises
    ------
    MissingError
        There is no such file.
    FormatError
        With file and line: not UTF-8, broken gzip data, a mark inside a sentence.
    """
    for source in sources:
        yield from (sentence for sentence in _sentences(source) if sentence)


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """The first field of every line, each word once: a word list, or a pronunciation dictionary.

    The marks ``<s>`` and ``</s>``, blank lines, and lines that begin with ``;;`` or ``##`` are
    passed over.
    """
    found: dict[str, None] = {}
    for line in _sentences(path, checked=False):
        if line and not line[0].startswith((";;", "##")):
            found[line[0]] = None
    words = tuple(word for word in found if word not in (BEGIN, END, EPSILON))
    if not words:
        raise FormatError("a vocabulary without a single word", path)
    return words


def _sentences(source: str | Path, checked: bool = True) -> Iterator[list[str]]:
    name = "<stdin>" if str(source) == "-" else str(source)
    number = 0
    try:
        for number, line in enumerate(_lines(source), start=1):
            if b"\0" in line:
                raise FormatError("a zero byte: this is no text", name, number)
            words = line.decode("utf-8").split()
            yield _without_marks(words, name, number) if checked else words
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8: {error}", name, number) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"gzip data that is broken or cut off: {error}", name) from error
    except OSError as error:
        raise MissingError(f"{name}: no text can be read there: {error.strerror}") from error


def _lines(source: str | Path) -> Iterable[bytes]:
    if str(source) == "-":
        yield from _unzipped(sys.stdin.buffer)
        return
    with open(source, "rb") as file:
        yield from _unzipped(file)


def _unzipped(file: BinaryIO) -> Iterable[bytes]:
    peek = getattr(file, "peek", None)
    if peek is not None and peek(2)[:2] == GZIP_MAGIC:
        return gzip.open(file)
    return file


def _without_marks(words: list[str], name: str, line: int) -> list[str]:
    if words and words[0] == BEGIN:
        words = words[1:]
    if words and words[-1] == END:
        words = words[:-1]
    for mark in (BEGIN, END, EPSILON):
        if mark in words:
            raise FormatError(f"{mark} is no word: it may not stand in a sentence", name, line)
    return words
