"""A model that comes as one zip file: unpacked into the cache once, and never outside of it.

Where the cache cannot be written, it is unpacked into a folder that is removed with this process.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.cache import cache_folder, content_key, warn_uncached
from factored_asr.storage.lock import locked
from factored_asr.storage.reading import NOT_ZIP, check_ratio, exists, is_file
from factored_asr.storage.scratch import process_folder
from factored_asr.storage.writing import whole_folder

MAX_FILES = 1000


def is_zip(path: str | Path) -> bool:
    """Return whether a name ends in ``.zip``."""
    return Path(path).suffix.lower() == ".zip"


def unpacked(path: str | Path) -> Path:
    """Return the folder of a zipped model in the cache; unpack it first if needed.

    The files lie at the top of the zip, or all in one folder. Raises MissingError if there is no
    such file. FormatError if it is no whole zip, holds an absolute name, one that leads out of the
    folder, a link or far more than it should. OptionError if there is no place to unpack it.
    """
    if not is_file(path):
        raise MissingError(f"{path}: there is no such file")
    name = f"models/{content_key('zip', Path(path))}"
    try:
        folder = _unpacked_in(cache_folder(), name, Path(path))
    except OptionError as error:
        warn_uncached(error)
        folder = _unpacked_in(process_folder(), name, Path(path))
    inner = list(folder.iterdir())
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder


def _unpacked_in(place: Path, name: str, path: Path) -> Path:
    folder = place / name
    if not exists(folder):
        with locked(folder.with_suffix(".lock")):
            if not exists(folder):  # another process may have unpacked it during the wait
                _unpack(path, folder)
    return folder


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as packed, whole_folder(folder) as place:
            members = [member for member in packed.infolist() if not member.filename.endswith("/")]
            _check(members, path)
            for member in members:
                packed.extract(member, place)
    except NOT_ZIP as error:
        raise FormatError(f"no whole zip of a model: {error}", path) from None
    except OptionError:  # the place refuses
        raise
    except OSError as error:
        raise FormatError(f"cannot be unpacked: {error}", path) from None


def _check(members: list[zipfile.ZipInfo], path: Path) -> None:
    if not 0 < len(members) <= MAX_FILES:
        raise FormatError(f"holds {len(members)} files, must hold 1 to {MAX_FILES}", path)
    for member in members:
        name = member.orig_filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or any(c in name for c in "\\:\0"):
            raise FormatError(f"{name!r} leads outside of the model's folder", path)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise FormatError(f"{name!r} is a link or device, must be a file", path)
    check_ratio(sum(member.file_size for member in members), path.stat().st_size, path)
