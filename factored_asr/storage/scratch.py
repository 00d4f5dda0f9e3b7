"""A place for files that one process needs for a while."""

from __future__ import annotations

import os
import shutil
import tempfile
from atexit import register
from collections.abc import Callable
from functools import cache
from pathlib import Path

from factored_asr.errors import OptionError
from factored_asr.storage.writing import whole_file

IN_MEMORY = "/dev/shm"  # of Linux, where containers without a disk to write on have room


def process_folder() -> Path:
    """Return a folder that is removed when this process ends.

    It lies in the system's folder of temporary files, or in memory. Raises OptionError where
    neither can be written.
    """
    return _folder(os.getpid())


def process_file(name: str, write: Callable[[Path], None]) -> Path:
    """Return a file that is removed when this process ends; write it first if it is not there.

    It lies in `process_folder`, or without one in memory alone, where the system can do that; only
    this process can open it then. Raises OptionError where there is no place at all.
    """
    if name in _in_memory:
        return _in_memory[name]
    try:
        path = process_folder() / name
        if not path.exists():
            with whole_file(path) as part:
                write(part)
        return path
    except OptionError:
        if not hasattr(os, "memfd_create"):
            raise
        path = Path(f"/proc/self/fd/{os.memfd_create(Path(name).name)}")
        write(path)
        _in_memory[name] = path
        return path


_in_memory: dict[str, Path] = {}


@cache
def _folder(pid: int) -> Path:
    why: OSError | None = None
    for place in (None, IN_MEMORY):
        try:
            folder = tempfile.mkdtemp(prefix="factored-asr-", dir=place)
        except OSError as error:
            why = why or error
            continue
        register(_remove, pid, folder)
        return Path(folder)
    law = "set TMPDIR, or FACTORED_ASR_CACHE, to a folder that can be written"
    raise OptionError(f"there is no place for a temporary file ({why}): {law}")


def _remove(pid: int, folder: str) -> None:
    if os.getpid() == pid:  # not in a child that was forked
        shutil.rmtree(folder, ignore_errors=True)
