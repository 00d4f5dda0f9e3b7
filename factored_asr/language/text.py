"""Texts to estimate models from: one sentence a line, tokenised, or as people write them."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from factored_asr.errors import FormatError, MissingError
from factored_asr.language.arpa import GZIP_MAGIC
from factored_asr.language.ngram import BEGIN, END, EPSILON, UNKNOWN
from factored_asr.language.written import AS_IS, Known, Piece, TextRules, read_written
from factored_asr.storage.reading import check_unpacked, encoding_of, standard_input

_SENTENCE_END = re.compile(r"[\"'”’)\]]*[.!?…]+[\"'”’)\]]*\s+[\"'“‘(\[]*")
_PLAIN = re.compile(r"[a-z'\s]*")
_EDGE = re.compile(r"(?<![a-z])'|'(?![a-z])")


def read_sentences(
    *sources: str | Path, rules: TextRules = AS_IS, known: Known | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[list[str]]:
    """Read the sentences of text files, plain or gzip; ``"-"`` is standard input.

    By default a line is a sentence of words with blanks between. ``<s>`` at its beginning, ``</s>``
    at its end and blank lines are dropped.

    Parameters
    ----------
    rules
        Other than `AS_IS`: the text is read as people write it, and a line may hold several
        sentences. ``<unk>`` stays a word.
    known
        Spellings that are words, which are never split.
    skipped
        Counts what is skipped: annotations and labels of speakers.

    Raises
    ------
    MissingError
        There is no such file.
    FormatError
        Text that is not UTF-8 (or what its byte-order mark says), broken gzip data, a mark inside a
        sentence; with file and line.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "texts"
    >>> _ = file.write_text("<s> turn it on </s>\\n\\nstop\\n")
    >>> list(read_sentences(file))
    [['turn', 'it', 'on'], ['stop']]
    """
    for source in sources:
        for number, line in _lines_of(source):
            if rules == AS_IS:
                if words := _without_marks(line.split(), _name(source), number):
                    yield words
            else:
                yield from spoken_sentences(line, rules, known, skipped)


def spoken_sentences(
    text: str, rules: TextRules | None = None, known: Known | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[list[str]]:
    """Return the words of each sentence of a text that people wrote; see `read_sentences`.

    >>> list(spoken_sentences("Stop! It's 21, Mr. Bell. [noise] Go."))
    [['stop'], ["it's", 'twenty', 'one', 'mister', 'bell'], ['go']]
    """
    if _PLAIN.fullmatch(text) and not _EDGE.search(text):  # most lines of tokenised texts
        if words := text.split():
            yield words
        return
    pieces = read_written(text, rules, lambda word: word in UNKNOWN or bool(known and known(word)))
    words = []
    end = 0
    for piece in pieces:
        if words and _SENTENCE_END.fullmatch(text, end, piece.start) and _begins(piece):
            yield words
            words = []
        end = piece.end
        words += piece.words
        if not piece.words and skipped is not None and piece.text not in (BEGIN, END):
            skipped[piece.text] += 1
    if words:
        yield words


def _begins(piece: Piece) -> bool:
    """Say whether a sentence may begin here; after "Jr." it seldom does with a small letter."""
    return not piece.text[:1].islower()


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """Read the first field of every line, each word once: a word list, or a dictionary.

    Marks, blank lines, and lines that begin with ``;;`` or ``##`` are skipped.

    Examples
    --------
    >>> read_vocabulary("examples/words/words.dict")[:3]
    ('zero', 'zero(2)', 'one')
    """
    lines = (line.split() for _, line in _lines_of(path))
    first = dict.fromkeys(line[0] for line in lines if line)
    comment, marks = (";;", "##"), (BEGIN, END, EPSILON)
    words = tuple(word for word in first if not word.startswith(comment) and word not in marks)
    if not words:
        raise FormatError("a vocabulary without a single word", path)
    return words


def in_the_case_of(sentences: Iterable[list[str]], words: Iterable[str]) -> Iterator[list[str]]:
    """Yield sentences with each word spelled as in a vocabulary, if only its case differs.

    >>> list(in_the_case_of([["tea", "Please", "now"]], ["TEA", "please"]))
    [['TEA', 'please', 'now']]
    """
    there = set(words)
    small: dict[str, str] = {}
    for word in there:
        small.setdefault(word.lower(), word)
    for sentence in sentences:
        yield [word if word in there else small.get(word.lower(), word) for word in sentence]


def _name(source: str | Path) -> str:
    return "<stdin>" if str(source) == "-" else str(source)


def _lines_of(source: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text with their numbers."""
    name, number = _name(source), 0
    try:
        for number, line in enumerate(_decoded(source), start=1):
            if "\0" in line:
                raise FormatError("a zero byte: this is no text", name, number)
            yield number, line
    except UnicodeError as error:
        raise FormatError(f"not UTF-8: {error}", name, number + 1) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"gzip data that is broken or cut off: {error}", name) from error
    except OSError as error:
        raise MissingError(f"{name}: no text can be read there: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the name
        if isinstance(error, FormatError):
            raise
        raise MissingError(f"{name}: no text can be read there: {error}") from None


def _decoded(source: str | Path) -> Iterator[str]:
    with nullcontext(standard_input()) if str(source) == "-" else open(source, "rb") as file:
        peek = getattr(file, "peek", None)
        is_gzip = peek is not None and peek(2)[:2] == GZIP_MAGIC
        data = gzip.open(file) if is_gzip else file
        first = data.readline()
        check_unpacked(first, source)
        encoding = encoding_of(first)
        if encoding in ("utf-8", "utf-8-sig"):
            yield from _cut(first.decode(encoding))
            for line in data:
                yield from _cut(line.decode("utf-8"))
        else:  # lines of bytes are not lines of text
            yield from codecs.decode(first + data.read(), encoding).splitlines()


def _cut(line: str) -> list[str]:
    """Return the lines in one that ends with a line feed: old files part them by ``\\r`` alone."""
    return line.rstrip("\r\n").split("\r")


def _without_marks(words: list[str], name: str, line: int) -> list[str]:
    if words and words[0] == BEGIN:
        words = words[1:]
    if words and words[-1] == END:
        words = words[:-1]
    for mark in (BEGIN, END, EPSILON):
        if mark in words:
            raise FormatError(f"{mark} is no word: it may not stand in a sentence", name, line)
    return words
