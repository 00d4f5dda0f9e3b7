"""What takes long to make, kept between runs in the user's cache folder: graphs, language models.

An entry is a folder named by a hash of all that went into it. It is written under a temporary name
and renamed, so a reader sees a whole graph or none; a lock makes a second process wait for the
first instead of compiling the same graph beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from factored_asr.errors import FormatError
from factored_asr.graph import Graph
from factored_asr.language import NGramModel, read_columns, write_columns

ABOUT = "about.json"
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One compiled graph or language model in the cache."""

    path: Path
    """Its folder."""
    about: dict[str, Any]
    """What it was made from, for people: `model`, `lexicon`, `language`, `kind`, and its size."""
    n_bytes: int
    """Size on disk."""


def cache_folder() -> Path:
    """The folder of all entries: ``$FACTORED_ASR_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("FACTORED_ASR_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("factored_asr", appauthor=False))


def content_key(*parts: object) -> str:
    """Hash texts, numbers and files into a name; a `Path` counts by its content, not its place.

    Examples
    --------
    >>> content_key("a", 1) == content_key("a", 1) != content_key("a", 2)
    True

    Raises
    ------
    FormatError
        A file cannot be read.
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


def cached_graph(key: str, about: dict[str, Any], compile_graph: Callable[[], Graph]) -> Graph:
    """The graph under `key`, compiled and kept first if it is not there.

    A damaged entry is compiled again. Where the cache folder cannot be written, the graph is
    compiled for this run alone.
    """
    def write(graph: Graph, folder: Path) -> dict[str, Any]:
        graph.write(folder)
        return {"states": graph.n_states, "arcs": graph.n_arcs}

    return _cached(key, about, compile_graph, write, Graph.read)


def cached_language(key: str, about: dict[str, Any], make: Callable[[], NGramModel]) -> NGramModel:
    """The language model under `key`, likewise: mapped into memory, not read."""

    def write(model: NGramModel, folder: Path) -> dict[str, Any]:
        write_columns(model, folder)
        return {"ngrams": sum(model.counts)}

    return _cached(key, about, make, write, read_columns)


def _cached(
    key: str, about: dict[str, Any], make: Callable[[], T],
    write: Callable[[T, Path], dict[str, Any]], read: Callable[[Path], T],
) -> T:
    folder = cache_folder() / key
    found = _read(folder, read)
    if found is not None:
        return found
    with _lock(folder.with_suffix(".lock")) as writable:
        found = _read(folder, read)  # another process may have made it while this one waited
        if found is None:
            found = make()
            if writable and _keep(found, folder, about, write):
                found = read(folder)  # memory-mapped, so that processes share it
        return found


def _read(folder: Path, read: Callable[[Path], T]) -> T | None:
    if not (folder / ABOUT).exists():
        return None
    try:
        return read(folder)
    except FormatError:
        return None


def _keep(
    made: T, folder: Path, about: dict[str, Any], write: Callable[[T, Path], dict[str, Any]]
) -> bool:
    """Write an entry whole; False where the disk refuses."""
    temporary = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        about = {**about, **write(made, temporary), "made": time.strftime("%Y-%m-%d %H:%M:%S")}
        (temporary / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged entry, or none
        os.replace(temporary, folder)
    except OSError:
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on a file; gives False where the folder cannot be written."""
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("w"))
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except ImportError:
            pass  # no such locks here: two processes may compile at once, entries stay whole
        except OSError:
            yield False
            return
        yield True


def entries() -> list[Entry]:
    """All entries of the cache, newest first."""
    found = []
    for file in cache_folder().glob(f"*/{ABOUT}"):
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            about = {}
        n_bytes = sum(part.stat().st_size for part in file.parent.iterdir() if part.is_file())
        found.append((file.stat().st_mtime, Entry(file.parent, about, n_bytes)))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]


def clear() -> int:
    """Remove every entry, and what broken runs left; returns the bytes set free."""
    freed = sum(entry.n_bytes for entry in entries())
    folder = cache_folder()
    for path in [*(file.parent for file in folder.glob(f"*/{ABOUT}")), *folder.glob("*.part")]:
        shutil.rmtree(path, ignore_errors=True)
    return freed
