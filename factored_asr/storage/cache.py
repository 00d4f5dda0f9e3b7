"""What is made once and kept between runs, in the user's cache folder.

An entry is a file or a folder named by a hash of all that it was made from. It is written whole,
under a lock: a second process waits for the first instead of making the same entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from factored_asr._deprecated import old_names
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.lock import locked
from factored_asr.storage.writing import PART, whole_file, whole_folder

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
    """Return the folder of all entries: ``$FACTORED_ASR_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("FACTORED_ASR_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("factored_asr", appauthor=False))


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
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise FormatError(f"cannot read: {error.strerror}", path) from error


def cached(
    name: str, make: Callable[[], M], write: Callable[[M, Path], Mapping[str, Any] | None],
    read: Callable[[Path], R], about: Mapping[str, Any] | None = None,
) -> M | R:
    """Return the entry of this name; make and keep it first where it is missing or damaged.

    Where the cache cannot be written, the value is made for this run alone.

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
    with locked(place.with_suffix(".lock")) as writable:
        if (found := _read(place, read, about)) is not None:  # made by another during the wait
            return found
        made = make()
        kept = writable and _keep(made, place, write, about)
        return read(place) if kept and about is not None else made


def _read(place: Path, read: Callable[[Path], R], about: Mapping[str, Any] | None) -> R | None:
    if not (place if about is None else place / ABOUT).is_file():
        return None
    try:
        return read(place)
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
    except (OptionError, TypeError):
        return False
    return True


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
    """Remove all entries, and what interrupted runs left; return the bytes freed."""
    top = cache_folder()
    found = {path for path in (*top.glob("*"), *top.glob("*/*")) if _KEY.match(path.name)}
    found |= {*top.glob(f"*{PART}"), *top.glob(f"*/.*{PART}"), *(each.path for each in entries())}
    freed = 0
    for path in found:
        freed += _size(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return freed


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


__getattr__ = old_names(__name__)
