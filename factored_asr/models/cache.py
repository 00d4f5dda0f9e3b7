"""What is compiled, read or learnt once and kept between runs, in the user's cache folder.

A graph's entry is a folder named by a hash of all that went into it. It is written under a
temporary name and renamed, so a reader sees a whole graph or none; a lock makes a second process
wait for the first instead of compiling the same graph beside it. Models of letters and phones are
single files beside the graphs.
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
from typing import TYPE_CHECKING, Any, TypeVar

from factored_asr.errors import FormatError, MissingError
from factored_asr.graph import Graph
from factored_asr.language import NGramModel, read_columns, write_columns
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import VERSION, CompiledGrammar, write_compiled
from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p import G2P

if TYPE_CHECKING:
    from factored_asr.understanding import Understander

ABOUT = "about.json"
G2P_VERSION = 1
"""Raise it when the same dictionary makes another model of letters and phones than before."""
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


def cached_g2p(dictionary: Path, progress: Callable[[str], None] | None = None) -> G2P:
    """The model of letters and phones of a dictionary, trained and kept on first use.

    Raises MissingError or FormatError where the dictionary cannot be read.
    """
    file = cache_folder() / f"{content_key(G2P_VERSION, dictionary)}.g2p"
    with _lock(file.with_suffix(".lock")) as writable:
        try:
            return G2P.read(file)
        except (FormatError, MissingError):
            pass  # not there yet, or damaged
        from factored_asr.lexicon.g2p_training import train_g2p

        model = train_g2p(Lexicon.read(dictionary), progress=progress)
        if writable:
            _keep_file(file, model.write)
        return model


def cached_grammar(path: str | Path) -> Grammar | CompiledGrammar:
    """A grammar for parsing, compiled and kept first if its files are new or changed.

    Raises
    ------
    FormatError
        The grammar is broken.
    """
    path = Path(path)
    if not path.exists():
        return Grammar.read(path)  # says what is missing
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    key = content_key("grammar", VERSION, *map(str, files), *(f for f in files if f.is_file()))
    kept = cache_folder() / "grammars" / f"{key}.json"
    if kept.exists():
        try:
            return CompiledGrammar.read(kept)
        except FormatError:
            pass  # damaged, or of another version: compile it again
    grammar = Grammar.read(path)
    _keep_file(kept, lambda file: write_compiled(grammar, file))
    return grammar


def read_understander(grammar: str | Path) -> Understander:
    """A grammar as a parser of sentences, compiled once and kept in the cache."""
    from factored_asr.understanding import Understander

    return Understander(cached_grammar(grammar))


def _keep_file(file: Path, write: Callable[[Path], None]) -> None:
    """Write a file of the cache whole or not at all; what cannot be kept is made anew next time."""
    temporary = file.with_name(f"{file.stem}.{uuid.uuid4().hex[:8]}{file.suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, file)
    except (OSError, TypeError):
        temporary.unlink(missing_ok=True)


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
    """Remove all that is kept, and what broken runs left; returns the bytes set free."""
    freed = sum(entry.n_bytes for entry in entries())
    folder = cache_folder()
    patterns = "*.g2p", "grammars/*", "explain/*"
    kept = [file for pattern in patterns for file in folder.glob(pattern)]
    for file in kept:
        freed += file.stat().st_size
        file.unlink(missing_ok=True)
    for path in [*(file.parent for file in folder.glob(f"*/{ABOUT}")), *folder.glob("*.part")]:
        shutil.rmtree(path, ignore_errors=True)
    return freed
