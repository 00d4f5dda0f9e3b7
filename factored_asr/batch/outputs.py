"""Outputs on disk: each is written whole or not at all, and a journal lists the finished ones.

A file is written under a temporary name, synced and renamed; then the journal gets a line for it.
After a run was killed, every output in its journal is complete; the next run makes the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factored_asr.batch.inputs import STDIN, Input
from factored_asr.errors import OptionError
from factored_asr.features.files import feature_file_path
from factored_asr.results.formats import SUFFIXES
from factored_asr.storage.journal import Journal
from factored_asr.storage.lock import locked
from factored_asr.storage.writing import ESCAPE, whole_file

JOURNAL, LOCK = ".factored-asr.jsonl", ".factored-asr.lock"
VERSION = 1


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole; raise OptionError if it cannot be written."""
    with whole_file(path, unique=False) as part, part.open("wb") as file:
        file.write(text.encode(errors=ESCAPE))
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class Resumed:
    """Outputs of earlier runs."""

    done: frozenset[str] = frozenset()
    """Outputs that are up to date, by `Input.output`."""
    changed: tuple[str, ...] = ()
    """Names of sounds that have changed since then."""
    options: tuple[str, ...] = ()
    """Names of options that differ from those of some output."""
    n_outdated: int = 0
    """Outputs that were made with other options."""


class OutputFolder:
    """A folder of outputs, and the journal of the finished ones; see `open_folder`."""

    def __init__(self, journal: Journal, format_name: str, key: str, facts: Mapping[str, Any]):
        self._journal, self._key, self._facts = journal, key, facts
        self._suffix = SUFFIXES.get(format_name, f".{format_name}")
        self.folder = journal.path.parent

    def path(self, sound: Input) -> Path:
        """Return the path of a sound's output."""
        return self.folder / self._name(sound)

    def begin(self) -> None:
        """Empty the journal, so that all outputs are made."""
        self._journal.clear()
        self._add_head()

    def resume(self, sounds: tuple[Input, ...]) -> Resumed:
        """Find the finished outputs; raise OptionError if the journal is of another version."""
        options: dict[str, Mapping[str, Any]] = {}
        done: dict[str, Mapping[str, Any]] = {}
        for entry in self._entries():
            if "options" in entry:
                options[entry["key"]] = entry["options"]
            else:
                done[entry["output"]] = entry
        finished, changed, outdated = set(), [], []
        for sound in sounds:
            last = done.get(self._name(sound))
            if last is None or not self._is_whole(sound, last):
                continue
            if last["key"] != self._key:
                outdated.append(last["key"])
            elif last["sound"] != _state(sound):
                changed.append(sound.label)
            else:
                finished.add(sound.output)
        if self._key not in options:
            self._add_head()
        names = {name for key in outdated for name in self._facts.keys() | options[key].keys()
                 if self._facts.get(name) != options[key].get(name)}
        return Resumed(frozenset(finished), tuple(changed), tuple(sorted(names)), len(outdated))

    def put(self, sound: Input, text: str) -> None:
        """Write the output of a sound; after this returns, a resumed run finds it."""
        state = _state(sound)
        content = text + "\n" if text else ""
        write_whole(self.path(sound), content)
        self._journal.add({"output": self._name(sound), "key": self._key, "sound": state,
                           "bytes": len(content.encode(errors=ESCAPE))})

    def _name(self, sound: Input) -> str:
        return sound.output + self._suffix

    def _is_whole(self, sound: Input, entry: Mapping[str, Any]) -> bool:
        try:
            return self.path(sound).stat().st_size == entry["bytes"]
        except OSError:
            return False

    def _add_head(self) -> None:
        self._journal.add({"version": VERSION, "key": self._key, "options": self._facts})

    def _entries(self) -> Iterator[dict[str, Any]]:
        """Yield the entries of the journal, but those whose options are missing."""
        known: set[str] = set()
        for entry in self._journal.entries():
            if isinstance(entry.get("options"), dict) and "key" in entry:
                if entry.get("version") != VERSION:
                    raise OptionError(
                        f"{self._journal.path} is of version {entry.get('version')}, not {VERSION} "
                        "as this program writes it: run without resuming"
                    )
                known.add(entry["key"])
                yield entry
            elif {"output", "key", "sound", "bytes"} <= entry.keys() and entry["key"] in known:
                yield entry


@contextmanager
def open_folder(folder: str | Path, format_name: str, key: str,
                facts: Mapping[str, Any]) -> Iterator[OutputFolder]:
    """Open a folder of outputs for one run alone; OptionError if another run is writing into it.

    Parameters
    ----------
    format_name
        One of `factored_asr.results.formats.FORMATS`; it gives the ending of the files.
    key, facts
        Everything but the sounds that outputs depend on, as a hash and by name.
    """
    lock = Path(folder) / LOCK
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False, remove=True))
        except TimeoutError as error:
            raise OptionError(f"{folder}: another run is writing into it") from error
        journal = stack.enter_context(closing(Journal(lock.with_name(JOURNAL))))
        yield OutputFolder(journal, format_name, key, facts)


def _state(sound: Input) -> list[int | str]:
    """Return what identifies a sound: file, size, time of its last change, and part."""
    if sound.name == STDIN:
        return [STDIN]
    try:
        about = os.stat(feature_file_path(sound.name))
    except OSError:
        return [sound.name]
    return [str(Path(sound.name).resolve()), about.st_size, about.st_mtime_ns, str(sound.part)]
