"""Files and folders that appear whole or not at all.

Each is written under a temporary name in the same folder, then renamed: a reader, or a run after
an interruption, finds the old content, the new content or nothing.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from factored_asr.errors import OptionError

ESCAPE = "backslashreplace"
"""How to encode text that may hold the name of a file. A byte of a name that is not UTF-8 is a lone
surrogate in Python, and becomes ``\\udcXX``, which in JSON is that surrogate again."""
PART = ".part"
"""Ending of temporary names."""


@contextmanager
def whole_file(path: str | Path, *, unique: bool = True) -> Iterator[Path]:
    """Give a name to write a file under; it takes the place of `path` when the block ends.

    Its folder is made; the old file is replaced. By default several processes may write it at once,
    and the last one wins; if `unique` is False only one may, and what an interrupted one left is
    overwritten. Raises OptionError, and leaves the old file, if it cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe stays one
        try:
            yield path
        except OSError as error:
            raise _refused(path, error) from error
        return
    part = _part(path) if unique else path.with_name(f".{path.name}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):  # renamed by now, or never made
            part.unlink()


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder to write into; it takes the place of `path` when the block ends.

    Raises OptionError, and leaves the old one, if the folder cannot be written.
    """
    path = Path(path)
    part, old = _part(path), _part(path)
    try:
        part.mkdir(parents=True)
        yield part
        if path.exists():
            os.replace(path, old)
        os.replace(part, path)
    except OSError as error:
        if old.exists():
            os.replace(old, path)
        raise _refused(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART}")


def _refused(path: Path, error: OSError) -> OptionError:
    return OptionError(f"{path}: cannot be written: {error.strerror or error}")
