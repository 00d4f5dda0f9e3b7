"""ARPA files: the text form of back-off n-gram models, plain or gzip.

Only `natural_log` and `common_log` convert between common logarithms (of files) and natural ones.
"""

from __future__ import annotations

import gzip
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from factored_asr.errors import FormatError, OptionError
from factored_asr.language.ngram import EPSILON, NGramModel, NGramTable
from factored_asr.storage.reading import (
    check_unpacked,
    decode_text,
    encoding_of,
    gunzipped,
    read_bytes,
)

GZIP_MAGIC = b"\x1f\x8b"
LN_10 = float(np.log(10.0))
LOG10_ZERO = -99.0
"""Logarithm of 0 in ARPA files; -inf is read as this."""
MAX_ORDER = 20
CHUNK = 1 << 22
"""Bytes of a file that are parsed at once."""
_LINE = re.compile(rb"^.*$", re.MULTILINE)
_COUNT = re.compile(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,15})")
_IS_SPACE = np.isin(np.arange(256), list(b" \t\n\r\v\f"))
_Logs = TypeVar("_Logs", float, np.ndarray)


def natural_log(log10: _Logs) -> _Logs:
    """Convert common logarithms to natural ones."""
    return log10 * LN_10


def common_log(log: _Logs) -> _Logs:
    """Convert natural logarithms to common ones.

    Examples
    --------
    >>> round(common_log(natural_log(-2.0)), 6)
    -2.0
    """
    return log / LN_10


def read_arpa(path: str | Path) -> NGramModel:
    """Read an ARPA file, plain or gzip (recognised by its first bytes), of any order.

    Accepted, because real files have it: a byte-order mark, any ends of lines, text before
    ``\\data\\``, any white space between fields, ``-inf`` (as -99), no ``<unk>``, n-grams in any
    order. A missing back-off weight is 0; back-off weights in the highest order are not used. A
    history that is not listed is added, see `NGramModel.from_ngrams`. The words keep the order of
    the unigrams.

    Raises MissingError if there is no such file. Raises FormatError, with file and line, for a
    wrong section or count, a line of too few or too many fields, or a value that is no number. It
    does so as well for a probability above 1, a word that is no unigram, and a repeated n-gram.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate
    >>> file = Path(tempfile.mkdtemp()) / "small.arpa"
    >>> write_arpa(estimate([["yes", "please"]]), file)
    >>> read_arpa(file).counts
    (5, 3, 2)
    """
    data = read_bytes(path)
    data = gunzipped(data, path) if data.startswith(GZIP_MAGIC) else data
    check_unpacked(data, path)
    if encoding_of(data) != "utf-8":  # a byte-order mark
        data = decode_text(data, path).encode()
    if b"\n" not in data[:CHUNK]:  # lines end as on an old Macintosh
        data = data.replace(b"\r", b"\n")
    return _Arpa(data, path).model()


def check_counts(path: str | Path) -> None:
    r"""Check the counts below ``\data\`` of an ARPA file, plain or gzip; all else is let pass.

    For readers that trust them. Raises FormatError for one that is no count, or too large.
    """
    with open(path, "rb") as file:
        is_packed = file.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path) if is_packed else open(path, "rb") as file:
            head = file.read(1 << 16)
    except (OSError, EOFError) as error:
        raise FormatError(f"broken gzip data: {error}", path) from error
    most = Path(path).stat().st_size * (1000 if is_packed else 1)  # a byte or more for an n-gram
    lines = head.partition(b"\\data\\")[2].splitlines()
    for line in takewhile(lambda line: not line.startswith(b"\\"), lines):
        match = _COUNT.fullmatch(line.strip())
        if line.strip() and not (match and int(match[2]) <= most):
            raise FormatError(f"{_shown(line)} is no count of n-grams that the file can hold", path)


def write_arpa(model: NGramModel, path: str | Path) -> None:
    """Write a model as an ARPA file, gzip if the name ends in ``.gz``; ``"-"``: standard output.

    Logarithms are rounded to 6 decimals; a back-off weight of 0 is left out.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import EstimateOptions, estimate
    >>> file = Path(tempfile.mkdtemp()) / "small.arpa"
    >>> write_arpa(estimate([["yes"]], EstimateOptions(order=1)), file)
    >>> file.read_text().split()[1:3]
    ['ngram', '1=4']
    """
    with _opened(path) as f:
        counts = "".join(f"ngram {n}={c}\n" for n, c in enumerate(model.counts, start=1))
        f.write(f"\\data\\\n{counts}".encode())
        prefixes = [""]
        for n, at in enumerate(model.orders, start=1):
            pairs = zip(at.parent, at.word, strict=True)
            ngrams = [prefixes[parent] + model.words[word] for parent, word in pairs]
            f.write(f"\n\\{n}-grams:\n".encode())
            logs = (common_log(x.astype(np.float64)).tolist() for x in (at.log_prob, at.backoff))
            rows = zip(ngrams, *logs, strict=True)
            lines = (f"{p:.6f}\t{ngram}" + (f"\t{b:.6f}\n" if b else "\n") for ngram, p, b in rows)
            f.write("".join(lines).encode())
            prefixes = [ngram + " " for ngram in ngrams] if n < model.order else []
        f.write(b"\n\\end\\\n")


def _opened(path: str | Path) -> AbstractContextManager[Any]:
    if str(path) == "-":
        return nullcontext(sys.stdout.buffer)
    return (gzip.open if str(path).endswith(".gz") else open)(path, "wb")


class _Mark(NamedTuple):
    """A line that begins with a backslash, and its place in the file."""

    name: str
    start: int
    stop: int


class _Arpa:
    """The bytes of a file while it is parsed, and the word ids once known."""

    def __init__(self, data: bytes, path: str | Path) -> None:
        self.data, self.path = data, path
        self.ids: dict[bytes, int] = {}

    def model(self) -> NGramModel:
        marks = self._marks()
        counts = self._counts(marks[0].stop, marks[1].start)
        due = ["\\data\\", *(f"\\{n}-grams:" for n in range(1, len(counts) + 1)), "\\end\\"]
        for name, mark in zip(due, marks, strict=False):
            if mark.name != name:
                self._fail(f"section {name} must come here, not {mark.name!r}", mark.start)
        words = self._vocabulary(marks[1].stop, marks[2].start)
        found: list[tuple[NGramTable, np.ndarray]] = []
        for n, count in enumerate(counts, start=1):
            start, stop = marks[n].stop, marks[n + 1].start
            found.append(self._table(n, start, stop, n == len(counts)))
            if (n_found := len(found[-1][1])) != count:
                self._fail(f"{n_found} n-grams of order {n}, but \\data\\ says {count}", start)
        try:
            return NGramModel.from_ngrams((EPSILON, *words), [table for table, _ in found])
        except OptionError:
            for table, place in found:
                self._report_twins(table[0], place)
            raise

    def _fail(self, message: str, at: int) -> NoReturn:
        raise FormatError(message, self.path, self.data.count(b"\n", 0, at) + 1)

    def _marks(self) -> list[_Mark]:
        r"""Return the lines that begin with a backslash, from \data\ to \end\."""
        start = 0 if self.data.startswith(b"\\") else self.data.find(b"\n\\") + 1
        marks: list[_Mark] = []
        while start or not marks:
            stop = self.data.find(b"\n", start)
            stop = len(self.data) if stop < 0 else stop
            marks.append(_Mark(self.data[start:stop].strip().decode(errors="replace"), start, stop))
            start = self.data.find(b"\n\\", stop) + 1
        names = [mark.name for mark in marks]
        if "\\data\\" not in names:
            raise FormatError("not an ARPA file: it has no line \\data\\", self.path)
        first = names.index("\\data\\")
        if "\\end\\" not in names[first:]:
            self._fail("ends without a line \\end\\; is it cut off?", len(self.data))
        return marks[first : names.index("\\end\\", first) + 1]

    def _counts(self, start: int, stop: int) -> list[int]:
        counts: list[int] = []
        for line in _LINE.finditer(self.data, start, stop):
            match = _COUNT.fullmatch(line[0].strip())
            if match and int(match[1]) == len(counts) + 1 <= MAX_ORDER:
                counts.append(int(match[2]))
            elif line[0].strip():
                law = f"'ngram {len(counts) + 1}=count' must come here"
                self._fail(f"{law}, not {_shown(line[0])}", line.start())
        if not counts or not counts[0]:
            self._fail("\\data\\ counts no unigrams", start)
        return counts

    def _vocabulary(self, start: int, stop: int) -> list[str]:
        words = []
        for line in _LINE.finditer(self.data, start, stop):
            fields = line[0].split()
            if len(fields) < 2:
                continue  # a blank line; _chunk refuses a line that is too short
            word = fields[1]
            if word in self.ids or word == EPSILON.encode():
                self._fail(f"word {_shown(word)} comes twice, or is reserved", line.start())
            self.ids[word] = len(self.ids) + 1
            try:
                words.append(word.decode("utf-8"))
            except UnicodeDecodeError:
                self._fail(f"word {word!r} is not UTF-8", line.start())
        return words

    def _table(self, n: int, start: int, stop: int, highest: bool) -> tuple[NGramTable, np.ndarray]:
        """Return the n-grams of one section, and the place of each one's line in the file."""
        parts = []
        while start < stop:
            line_end = self.data.find(b"\n", min(start + CHUNK, stop), stop)
            end = stop if line_end < 0 else line_end + 1
            parts.append(self._chunk(n, start, end, highest))
            start = end
        ids, log_prob, backoff, place = map(np.concatenate, zip(*parts, strict=True))
        return (ids, natural_log(log_prob), natural_log(backoff)), place

    def _chunk(
        self, n: int, start: int, stop: int, highest: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Parse whole lines: ids (m, n), log10 probabilities, log10 back-offs, places (m,)."""
        fields = self.data[start:stop].split()
        text = np.frombuffer(self.data, np.uint8, stop - start, start)
        solid = ~_IS_SPACE[text]
        begins = np.flatnonzero(solid & ~np.concatenate([[False], solid[:-1]]))
        ends = np.flatnonzero(text == ord("\n"))
        lengths = np.bincount(np.searchsorted(ends, begins), minlength=len(ends) + 1)
        place = start + np.concatenate([[0], ends + 1])[lengths > 0]
        lengths = lengths[lengths > 0]
        for k in np.flatnonzero((lengths < n + 1) | (lengths > n + 2))[:1]:
            self._fail(
                f"an n-gram of order {n} takes a probability, {n} words and at most a back-off "
                f"weight, not {lengths[k]} fields",
                place[k],
            )
        first = np.cumsum(lengths) - lengths
        ids = self._ids([[fields[i] for i in (first + k).tolist()] for k in range(1, n + 1)], place)
        log_prob = self._numbers([fields[i] for i in first.tolist()], place, "log probability")
        for k in np.flatnonzero(log_prob > 0)[:1]:
            self._fail(f"log probability {log_prob[k]} is above 0", place[k])
        backoff = np.zeros(len(place))
        given = np.flatnonzero(lengths == n + 2)
        texts = [fields[i] for i in (first[given] + n + 1).tolist()]
        weights = self._numbers(texts, place[given], "back-off weight")
        if not highest:
            backoff[given] = weights
            for k in np.flatnonzero(backoff == np.inf)[:1]:
                self._fail("an infinite back-off weight", place[k])
        return ids, log_prob, backoff, place

    def _ids(self, columns: list[list[bytes]], place: np.ndarray) -> np.ndarray:
        ids = np.empty((len(place), len(columns)), np.int32)
        for k, words in enumerate(columns):
            ids[:, k] = [self.ids.get(word, 0) for word in words]
            for i in np.flatnonzero(ids[:, k] == 0)[:1]:
                self._fail(f"word {_shown(words[i])} is no unigram", place[i])
        return ids

    def _numbers(self, texts: list[bytes], place: np.ndarray, what: str) -> np.ndarray:
        values = np.fromiter(map(_number, texts), np.float64, len(texts))
        for k in np.flatnonzero(np.isnan(values))[:1]:
            self._fail(f"{what} {_shown(texts[k])} is no number", place[k])
        return np.where(values == -np.inf, LOG10_ZERO, values)

    def _report_twins(self, ids: np.ndarray, place: np.ndarray) -> None:
        seen: dict[tuple[int, ...], int] = {}
        for ngram, at in zip(map(tuple, ids.tolist()), place.tolist(), strict=True):
            before = seen.setdefault(ngram, at)
            if before != at:
                line = self.data.count(b"\n", 0, before) + 1
                self._fail(f"this n-gram stands in line {line} already", at)


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _shown(text: bytes) -> str:
    return repr(text.decode(errors="replace").rstrip())
