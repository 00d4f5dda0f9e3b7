"""Texts to estimate models from: one sentence a line, words separated by white space."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from factored_asr.errors import FormatError, MissingError
from factored_asr.language.arpa import GZIP_MAGIC
from factored_asr.language.ngram import BEGIN, END, EPSILON


def read_sentences(*sources: str | Path) -> Iterator[list[str]]:
    """Read the sentences of text files, plain or gzip; ``"-"`` is standard input.

    ``<s>`` at the beginning of a line, ``</s>`` at its end and blank lines are dropped. Raises
    MissingError if there is no such file; FormatError, with file and line, for other text than
    UTF-8, broken gzip data and a mark inside a sentence.
    """
    for source in sources:
        yield from (sentence for sentence in _sentences(source) if sentence)


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """Read the first field of every line, each word once: a word list, or a dictionary.

    Marks, blank lines, and lines that begin with ``;;`` or ``##`` are skipped.
    """
    first = dict.fromkeys(line[0] for line in _sentences(path, checked=False) if line)
    comment, marks = (";;", "##"), (BEGIN, END, EPSILON)
    words = tuple(word for word in first if not word.startswith(comment) and word not in marks)
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


def _lines(source: str | Path) -> Iterator[bytes]:
    with nullcontext(sys.stdin.buffer) if str(source) == "-" else open(source, "rb") as file:
        peek = getattr(file, "peek", None)
        is_gzip = peek is not None and peek(2)[:2] == GZIP_MAGIC
        yield from gzip.open(file) if is_gzip else file


def _without_marks(words: list[str], name: str, line: int) -> list[str]:
    if words and words[0] == BEGIN:
        words = words[1:]
    if words and words[-1] == END:
        words = words[:-1]
    for mark in (BEGIN, END, EPSILON):
        if mark in words:
            raise FormatError(f"{mark} is no word: it may not stand in a sentence", name, line)
    return words
