"""What is made once and kept between runs, in the user's cache folder.

An entry is a file or a folder named by a hash of all that it was made from. It is written whole,
under a lock: a second process waits for the first instead of making the same entry. Where the
folder cannot be written nothing is kept; what it holds already is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from factored_asr._deprecated import old_names
from factored_asr.errors import CacheWarning, FormatError, MissingError, OptionError
from factored_asr.storage.lock import locked
from factored_asr.storage.scratch import process_file, process_folder
from factored_asr.storage.writing import PART, whole_file, whole_folder

VARIABLE = "FACTORED_ASR_CACHE"
"""Names the cache folder; nothing else decides where anything is cached."""
LARGE = 1 << 20  # bytes; a start hashes such a file once, though several keys count it
QUIET = "FACTORED_ASR_CACHE_WARNED"
"""Set for worker processes whose parent, or first of them, warns in their place."""
KERNELS = "kernels"
"""Folder of compiled kernels in the cache."""
ABOUT = "about.json"
_KEY = re.compile(r"[0-9a-f]{32}\b")
M = TypeVar("M")
R = TypeVar("R")


@dataclass(frozen=True)
class Entry:
    """One folder in the cache."""

    path: Path
    """The folder."""
    about: dict[str, Any]
    """What it was made from, for people."""
    n_bytes: int
    """Size on disk."""


def cache_folder() -> Path:
    """Return the folder of all entries: ``$FACTORED_ASR_CACHE``, or the user's cache folder.

    Where the user has no home folder, it is a folder that cannot be made.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))
    import platformdirs

    with suppress(RuntimeError):  # platformdirs finds no home folder
        found = Path(platformdirs.user_cache_dir("factored_asr", appauthor=False))
        if found.is_absolute():
            return found
    return Path(os.devnull) / "factored_asr"


_warned = False


def has_warned() -> bool:
    """Return whether this process has warned that nothing is cached."""
    return _warned


def warn_uncached(error: Exception) -> None:
    """Warn, once in a process, that what is made cannot be kept; `error` says why."""
    global _warned
    if _warned or os.environ.get(QUIET):
        return
    _warned = True
    warnings.warn(
        f"nothing is cached, every run compiles again: {_why(error)}; set {VARIABLE} to a folder "
        "that can be written", CacheWarning, stacklevel=2,
    )


def _why(error: Exception) -> str:
    folder = cache_folder()
    if not os.environ.get(VARIABLE) and folder.is_relative_to(os.devnull):
        return "there is no home folder"
    for part in (folder, *folder.parents):
        if os.path.lexists(part) and not part.is_dir():
            return f"{part} is not a folder"
    cause = error if isinstance(error, OSError) else error.__cause__
    return f"the folder {folder} cannot be written ({getattr(cause, 'strerror', None) or cause})"


def is_writable() -> bool:
    """Return whether something can be kept in the cache folder, which is made."""
    try:
        with whole_file(cache_folder() / f"probe-{os.getpid()}") as probe:
            probe.write_bytes(bytes(1 << 16))  # a full disk takes a name, but no bytes
        (cache_folder() / f"probe-{os.getpid()}").unlink()
    except (OptionError, OSError) as error:
        warn_uncached(error)
        return False
    return True


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Let worker processes share what is made, in a temporary folder where the cache is read-only.

    The temporary folder is the cache during the block, unless there is no place for one.
    """
    if is_writable():
        yield
        return
    before = os.environ.get(VARIABLE)
    try:
        place = process_folder() / "cache"
        _link_entries(cache_folder(), place)
    except (OSError, OptionError):
        yield
        return
    os.environ[VARIABLE] = str(place)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def _link_entries(old: Path, new: Path) -> None:
    """Make a cache folder that has the entries of another."""
    new.mkdir(exist_ok=True)
    for path in old.glob("*") if old.is_dir() else ():
        if path.is_dir() and (path / ABOUT).is_file() and not (new / path.name).exists():
            (new / path.name).symlink_to(path.absolute())


def content_key(*parts: object) -> str:
    """Hash texts, numbers and files into a name; a `Path` counts by its content, not its place.

    Raises FormatError for a file that cannot be read.

    >>> content_key("a", 1) == content_key("a", 1) != content_key("a", 2)
    True
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(_file_digest(part) if isinstance(part, Path) else repr(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:32]


def _file_digest(path: Path) -> bytes:
    """The digest of a file, or of all files below a folder with their relative names."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = [file.relative_to(path).as_posix() for file in files]
        return content_key(*names, *files).encode()
    try:
        stat = path.stat()
        if stat.st_size < LARGE:
            return _read_digest(path)
        return _digest_at(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise FormatError(f"cannot read: {error.strerror}", path) from error


@lru_cache(maxsize=64)
def _digest_at(path: Path, inode: int, n_bytes: int, changed: int) -> bytes:
    """The digest of a file, which is read again where it has changed."""
    return _read_digest(path)


def _read_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def cached(
    name: str, make: Callable[[], M], write: Callable[[M, Path], Mapping[str, Any] | None],
    read: Callable[[Path], R], about: Mapping[str, Any] | None = None,
) -> M | R:
    """Return the entry of this name; make and keep it first where it is missing or damaged.

    Where the cache cannot be written, the value is made for this run alone, with one `CacheWarning`
    a process.

    Parameters
    ----------
    name
        Path of the entry in the cache: a key, with the folder and the ending that suit it.
    make
        Makes the value.
    write
        Writes a value to a file, or into an empty folder, and then returns what to add to `about`.
    read
        Reads it; FormatError or MissingError where it is damaged.
    about
        None (default): the entry is a file. Else it is a folder that lists these facts, whose
        arrays are mapped into memory: it is read back once it is kept.
    """
    place = cache_folder() / name
    if (found := _read(place, read, about)) is not None:
        return found
    with locked(place.with_suffix(".lock")):
        if (found := _read(place, read, about)) is not None:  # made by another during the wait
            return found
        made = make()
        kept = _keep(made, place, write, about)
        return read(place) if kept and about is not None else made


def _read(place: Path, read: Callable[[Path], R], about: Mapping[str, Any] | None) -> R | None:
    try:
        if not (place if about is None else place / ABOUT).is_file():
            return None
        return read(place)
    except OSError:  # a folder that may not be looked into
        return None
    except (FormatError, MissingError):
        return None


def _keep(
    made: M, place: Path, write: Callable[[M, Path], Mapping[str, Any] | None],
    about: Mapping[str, Any] | None,
) -> bool:
    """Write an entry whole; False where the disk refuses, or where it has no written form."""
    try:
        if about is None:
            with whole_file(place) as file:
                write(made, file)
        else:
            with whole_folder(place) as folder:
                facts = {**about, **(write(made, folder) or {})}
                facts["made"] = time.strftime("%Y-%m-%d %H:%M:%S")
                (folder / ABOUT).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    except TypeError:
        return False
    except OptionError as error:
        warn_uncached(error)
        return False
    return True


def kept_file(name: str, write: Callable[[Path], None]) -> Path:
    """Return a file of the cache by its name; write it first if it is not there.

    Where the cache cannot be written, it goes with this process: see `process_file`.
    """
    path = cache_folder() / name
    try:
        if not path.exists():
            with whole_file(path) as part:
                write(part)
        return path
    except (OptionError, OSError) as error:
        warn_uncached(error)
        return process_file(name, write)


def entries() -> list[Entry]:
    """Return all folders in the cache that say what they hold, newest first."""
    found = []
    for file in cache_folder().glob(f"*/{ABOUT}"):
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            about = {}
        found.append((file.stat().st_mtime, Entry(file.parent, about, _size(file.parent))))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]


def clear() -> int:
    """Remove all entries, compiled kernels and what interrupted runs left; return bytes freed."""
    top = cache_folder()
    found = {path for path in (*top.glob("*"), *top.glob("*/*")) if _KEY.match(path.name)}
    found |= {*top.glob(f"*{PART}"), *top.glob(f"*/.*{PART}"), *(each.path for each in entries())}
    found |= {path for path in (top / KERNELS).glob("*") if not path.parent.is_symlink()}
    freed = 0
    for path in found:
        freed += _size(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return freed


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


__getattr__ = old_names(__name__)
