"""A journal: entries as JSON, one a line, which an interrupted run leaves readable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from factored_asr.errors import OptionError
from factored_asr.storage.writing import ESCAPE


class Journal:
    """A file of entries, open for reading and appending; its folder is made."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+")
        except OSError as error:
            raise self._refused(error) from error

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries in order; incomplete or edited lines are skipped."""
        self._file.seek(0)
        found = []
        for line in self._file.read().split(b"\n"):
            with suppress(ValueError):
                found.append(json.loads(line))
        return [entry for entry in found if isinstance(entry, dict)]

    def add(self, entry: Mapping[str, Any]) -> None:
        """Write an entry at once; an incomplete line of a killed run is ended first."""
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            if self._file.seek(0, os.SEEK_END):
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":
                    line = "\n" + line
            self._file.write(line.encode(errors=ESCAPE))
            self._file.flush()  # survives this process; a power cut costs only work
        except OSError as error:
            raise self._refused(error) from error

    def clear(self) -> None:
        """Drop all entries."""
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _refused(self, error: OSError) -> OptionError:
        return OptionError(f"{self.path}: cannot be written: {error.strerror}")
