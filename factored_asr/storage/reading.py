"""Whole files at once: text, JSON and arrays; errors name the file and what is wrong with it.

Sizes in a header are checked against the size of the file before memory is set aside, and packed
data may not unpack to far more than its own size.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import lzma
import math
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

import numpy as np

from factored_asr.errors import FormatError, MissingError

MAX_RATIO = 100
"""Times its own size that a packed file may unpack to; text and arrays are packed ten to one."""
ALWAYS_ALLOWED = 1 << 26
"""Bytes that any packed file may unpack to."""
NOT_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
           RuntimeError)
"""What reading a zip file may raise if it is broken."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"),
          (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
"""Byte-order marks; that of UTF-16 begins like that of UTF-32."""
_PACKED = ((b"\x1f\x8b", "gzip"), (b"PK\3\4", "zip"), (b"\xfd7zXZ", "xz"),
           (b"\x28\xb5\x2f\xfd", "zstd"), (b"7z\xbc\xaf", "7z"), (b"Rar!\x1a", "RAR"))  # fmt: skip
_SHEETS = (".xlsx", ".xlsm", ".ods")
_BZIP2 = (b"BZh", b"1AY&SY")  # a digit stands between
MAX_AXES = 32
_PART = 1 << 22
_MAX_DIGITS = 18
T = TypeVar("T")


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises MissingError if there is no such file, FormatError if it is a folder or cannot be read.
    """
    with _reading(path):
        return Path(path).read_bytes()


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Raise what the system says of a file as errors of ours."""
    try:
        yield
    except FormatError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or error
        raise FormatError(f"cannot be read: {why}", path) from None


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files of a folder, sorted: no folders, and no pipes, which one would wait for.

    Links that lead nowhere are among them, and are reported when they are read.
    """
    return sorted(file for file in folder.glob(pattern) if _is_plain(file))


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return True


def read_text(path: str | Path) -> str:
    """Return the text of a file, without a byte-order mark; ends of lines become ``\\n``.

    It is UTF-8, or what its byte-order mark says: UTF-16, UTF-32. Raises MissingError if there is
    no such file, FormatError (with the line) if it is no such text.
    """
    return decode_text(read_bytes(path), path)


def lines_with_text(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line of a file that is not blank.

    Errors are those of `read_text`.
    """
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            yield line, text


def decode_text(data: bytes, path: str | Path) -> str:
    """Return the text of the bytes of a file, as `read_text`.

    >>> decode_text("tea\\r\\n".encode("utf-16"), "a.txt"), decode_text(b"tea", "a.txt")
    ('tea\\n', 'tea')
    """
    check_unpacked(data, path)
    encoding = encoding_of(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = encoding.removesuffix("-sig").upper()
        remedy = "; save it as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)" if name == "UTF-8" else ""
        law = f"not {name}: byte {data[error.start]:#04x}{remedy}"
        raise FormatError(law, path, line) from None
    if "\0" in text:
        law = "a zero byte: this is no text, or one of two bytes a letter without its mark (UTF-16)"
        raise FormatError(law, path, text.count("\n", 0, text.index("\0")) + 1)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_unpacked(data: bytes, path: str | Path) -> None:
    """Raise FormatError where the bytes of a file are an archive, and no text."""
    kind = next((kind for mark, kind in _PACKED if data.startswith(mark)), "")
    if data[:3] == _BZIP2[0] and data[4:10] == _BZIP2[1]:
        kind = "bzip2"
    if kind:
        article = "an" if kind[0] in "xR" else "a"
        remedy = "save it as CSV" if Path(path).suffix.lower() in _SHEETS else "unpack it"
        raise FormatError(f"is {article} {kind} archive, and no text: {remedy}", path)


def encoding_of(data: bytes) -> str:
    """Return the encoding of a text by its first bytes: a byte-order mark, else UTF-8."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    return "utf-8"


def standard_input() -> BinaryIO:
    """Return standard input for reading bytes; FormatError where it is closed.

    A substitute that holds text gives its text as UTF-8.
    """
    if sys.stdin is None:
        raise FormatError("standard input is closed", "<stdin>")
    buffer: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    return io.BytesIO(sys.stdin.read().encode()) if buffer is None else buffer


def standard_input_lines() -> Iterator[str]:
    """Yield the lines of standard input as they come, without their ends.

    They are UTF-8, perhaps with a byte-order mark; bytes that are not become U+FFFD. Errors are
    those of `standard_input`, and FormatError where it cannot be read.
    """
    stream = standard_input()
    try:
        for number, line in enumerate(iter(stream.readline, b"")):
            text = line.decode("utf-8-sig" if number == 0 else "utf-8", errors="replace")
            yield text.rstrip("\r\n")
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", "<stdin>") from None


def parse_json(text: str, path: str | Path | None = None, line: int | None = None) -> Any:
    """Return the value of a JSON text; FormatError, with the line, where it is none.

    `line` is that of the text in a file of many; None (default) counts the lines of the text.

    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"no JSON: {error.msg}", path, line or error.lineno) from None
    except ValueError as error:  # a number of thousands of digits
        raise FormatError(f"no JSON: {error}", path, line) from None
    except RecursionError:
        raise FormatError("no JSON of ours: brackets nest too deep", path, line) from None


def read_json(path: str | Path) -> Any:
    """Return the value of a JSON file; errors as of `read_text` and `parse_json`."""
    return parse_json(read_text(path), path)


def as_record(kind: Callable[..., T], values: Mapping[str, Any], path: str | Path) -> T:
    """Make a dataclass of options from its JSON, lists as tuples; FormatError where it refuses.

    Its ``from_dict``, if it has one, accepts what older versions wrote.
    """
    try:
        found = tuples(values)
        from_dict: Callable[..., T] | None = getattr(kind, "from_dict", None)
        return from_dict(found) if from_dict else kind(**found)
    except (TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{getattr(kind, '__name__', kind)}: {error}", path) from error


def tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its lists as tuples; TypeError where it is no object."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r} must be a mapping")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def read_array(path: str | Path, *, mapped: bool = False) -> np.ndarray:
    """Return the array of a ``.npy`` file, never unpickled.

    `mapped` maps the file into memory (but not an array without elements). Default: read it. Raises
    MissingError if there is no such file, FormatError if it is no array of plain numbers or texts,
    or shorter than its header says.
    """
    with _reading(path), open(path, "rb") as file:
        n_bytes = file.seek(0, 2)
        file.seek(0)
        shape, fortran, dtype = _array_header(file, n_bytes, path)
        if not mapped or 0 in shape:
            return _array(file, shape, fortran, dtype, path)
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a ``.npz`` file by name; errors as of `read_array`.

    Raises FormatError, too, where it would unpack to more than `MAX_RATIO` times its size.
    """
    with _reading(path):
        try:
            n_bytes = Path(path).stat().st_size
            with zipfile.ZipFile(path) as packed:
                members = packed.infolist()
                check_ratio(sum(member.file_size for member in members), n_bytes, path)
                return {
                    member.filename.removesuffix(".npy"): _member(packed, member, path)
                    for member in members
                }
        except NOT_ZIP as error:
            raise FormatError(f"no whole zip of arrays: {error}", path) from None


def holds_arrays(path: str | Path) -> bool:
    """Return whether a file is no zip archive of files other than arrays; it may be broken."""
    try:
        with _reading(path), zipfile.ZipFile(path) as packed:
            return all(name.endswith(".npy") for name in packed.namelist())
    except NOT_ZIP:
        return True


def seal_of(folder: Path) -> dict[str, list[int]]:
    """Return the size and time of change of each array and word list of a folder.

    What was written with its seal needs no check of every element as long as that is the same.
    """
    names = ("words.txt", *sorted(path.name for path in folder.glob("*.npy")))
    found = {name: (folder / name).stat() for name in names if (folder / name).is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}


def exists(path: str | Path) -> bool:
    """Return whether something is there; False for a name that nothing can have."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def is_file(path: str | Path) -> bool:
    """Return whether a file is there; likewise."""
    return exists(path) and Path(path).is_file()


def check_ratio(unpacked: int, packed: int, path: str | Path) -> None:
    """Raise FormatError where packed data unpacks to far more than honest data does."""
    if unpacked > max(ALWAYS_ALLOWED, MAX_RATIO * packed):
        law = f"may be at most {MAX_RATIO} times as many"
        raise FormatError(f"{packed} bytes unpack to {unpacked} or more, {law}", path)


def gunzipped(data: bytes, path: str | Path) -> bytes:
    """Return what gzip data unpacks to.

    Raises FormatError if it is broken, cut off, or unpacks to more than `MAX_RATIO` times its size.
    """
    parts, n_bytes = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            while part := packed.read(_PART):
                parts.append(part)
                n_bytes += len(part)
                check_ratio(n_bytes, len(data), path)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"gzip data that is broken or cut off: {error}", path) from error
    return b"".join(parts)


def whole_number(text: str) -> int | None:
    """Return the number of a text of 1 to 18 digits; None for any other text.

    >>> whole_number("017"), whole_number("-1"), whole_number("9" * 5000)
    (17, None, None)
    """
    fits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if fits else None


def _member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: str | Path) -> np.ndarray:
    name = f"{path}:{member.filename}"
    with packed.open(member) as file:
        shape, fortran, dtype = _array_header(file, member.file_size, name)
        return _array(file, shape, fortran, dtype, name)


def _array_header(
    file: IO[bytes], n_bytes: int, path: str | Path
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array that lies in a file of so many bytes."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        left = n_bytes - file.tell()
    except Exception as error:  # numpy raises errors of any sort for a damaged header
        if isinstance(error, OSError | zlib.error | zipfile.BadZipFile):
            raise
        raise FormatError(f"not an array of numbers: {error}", path) from None
    if dtype.hasobject:
        raise FormatError("an array of Python objects, which is never unpacked", path)
    if dtype.kind == "c":
        raise FormatError("an array of complex numbers, which none of ours is", path)
    if len(shape) > MAX_AXES:
        raise FormatError(f"not an array of ours: {len(shape)} axes, at most {MAX_AXES}", path)
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or not dtype.itemsize or needed > left:
        raise FormatError(f"an array {shape} of {dtype} needs {needed} bytes, {left} follow", path)
    return shape, bool(fortran), dtype


def _array(
    file: IO[bytes], shape: tuple[int, ...], fortran: bool, dtype: np.dtype, path: str | Path
) -> np.ndarray:
    n_bytes = math.prod(shape) * dtype.itemsize
    data = file.read(n_bytes)
    if len(data) < n_bytes:
        raise FormatError(f"ends after {len(data)} of {n_bytes} bytes", path)
    array = np.frombuffer(bytearray(data), dtype).reshape(shape, order="F" if fortran else "C")
    order = dtype.str[0]
    if dtype.kind == "U" and np.frombuffer(data, f"{order}u4").max(initial=0) > sys.maxunicode:
        raise FormatError("a text with a character that there is not", path)
    return array
