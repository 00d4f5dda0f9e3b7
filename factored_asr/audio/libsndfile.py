"""Files that libsndfile reads: FLAC, Ogg, MP3, AIFF, AU, CAF, W64, SPHERE and others.

libsndfile corrects the lengths of headers without a word, and its decoder of MP3 writes to standard
error. Here a sound that lacks a part is refused or reported as in `audio.wav`, and standard error
stays free.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from factored_asr.audio.lengths import HEAD, Length, right_length
from factored_asr.audio.wav import UNKNOWN_LENGTH, Notice, lack
from factored_asr.errors import FormatError

_LENGTH = re.compile(r"^ *(?:SSND|Data Size|riff|data) *: (\d+) \(should be (\d+)\)", re.M)
_CUT_OGG = re.compile("Last page lacks an end-of-stream bit|Junk after the last page")
_CUT_VOC = "Seems to be a truncated file"
_FILE_LENGTH = re.compile(r"^Length : (\d+)", re.M)
_SPHERE_LENGTH = re.compile(rb"\nsample_count -i (\d+)")
_MPG123 = re.compile(rb"^(?:\[src/libmpg123/.*|Warning: Xing stream size .*|)\n", re.M)
_OPEN = 1 << 62  # samples: libsndfile's number where a header leaves it open
_lock = threading.Lock()


class File(soundfile.SoundFile):
    """An opened file.

    Parameters
    ----------
    source
        A path, or all bytes of a file.
    name
        Of the sound in errors and notices.
    notice
        Called with what is odd about a sound that is read all the same.

    Raises soundfile.LibsndfileError or TypeError where libsndfile cannot read it, FormatError where
    a large part is missing.
    """

    def __init__(self, source: Path | bytes, name: str, notice: Notice):
        head = source[:HEAD] if isinstance(source, bytes) else b""
        if isinstance(source, Path):
            with source.open("rb") as file:
                head = file.read(HEAD)
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if length := right_length(head, size):
            whole = source if isinstance(source, bytes) else source.read_bytes()
            source = length.put_into(whole)
        with quiet():
            super().__init__(_Memory(source) if isinstance(source, bytes) else _system_name(source))
        self._label, self._notice, self._n_read = name, notice, 0
        self.n_samples = self.frames if self.frames < _OPEN else None
        """Of each channel; None where the header leaves the length open."""
        self.must_hold = self.format == "FLAC" and self.n_samples is not None
        """Whether fewer samples are an error."""
        try:
            self._check_length(head, length)
        except FormatError:
            self.close()
            raise

    def seekable(self) -> bool:
        """Return False: soundfile then reads without a seek after each block.

        Such a seek fails at the end of a FLAC file without a length, and is inexact in MP3.
        """
        return False

    def next(self, n_samples: int) -> np.ndarray:
        """Return the next samples, float32, fewer at the end."""
        if self.must_hold:  # tags may follow
            n_samples = min(n_samples, self.frames - self._n_read)
        try:
            with quiet(self.format == "MP3"):
                block = self.read(n_samples, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise FormatError(f"truncated or damaged audio: {error}", self._label) from None
        self._n_read += len(block)
        if not len(block) and self.format == "MP3" and "mode   : variable" in self.extra_info:
            if self._n_read < self.frames - self.samplerate / 2:
                self._notice(f"{self._label}: the header promises {self.frames} samples, there are "
                             f"{self._n_read}, which are read")
        return block

    def skip(self, n_samples: int) -> None:
        """Go to a sample."""
        with quiet(self.format == "MP3"):
            self.seek(n_samples)
        self._n_read = n_samples

    def _check_length(self, head: bytes, length: Length | None) -> None:
        """Refuse or report a sound that is shorter than its header says."""
        promised: int | None
        unit = "bytes of samples"
        if length:
            promised, there = length.promised, length.there
        elif found := _LENGTH.search(self.extra_info):
            promised, there = int(found[1]), int(found[2])
        elif self.format == "VOC" and _CUT_VOC in self.extra_info:
            promised, there = _lengths_of_voc(head, self.extra_info)
        elif (count := _SPHERE_LENGTH.search(head)) and self.format == "NIST":
            promised, there, unit = int(count[1]), self.frames, "samples"
        else:
            if _CUT_OGG.search(self.extra_info):
                self._notice(f"{self._label}: its end is missing or damaged (the recorder was "
                             "interrupted?): what is whole is read")
            return
        if promised is None:
            self._notice(f"{self._label}: its header leaves the length open: all {there} {unit} "
                         "that follow are read")
        elif promised == 0:
            self._notice(f"{self._label}: its header promises no samples (the recorder was "
                         f"interrupted?): all {there} {unit} that follow are read")
        elif there < promised < UNKNOWN_LENGTH:
            seconds = (promised - there) / max(1, there) * self.frames / self.samplerate
            law = f"the header promises {promised} {unit}, there are {there}"
            self._notice(f"{self._label}: {lack(law, seconds, 1 - there / promised, self._label)}")


def _lengths_of_voc(head: bytes, info: str) -> tuple[int, int]:
    """Bytes of samples by the header of the first block of a VOC file, and those in the file.

    A block begins with its kind and three bytes of its length.
    """
    start = int.from_bytes(head[20:22], "little") + 4
    found = _FILE_LENGTH.search(info)
    return int.from_bytes(head[start - 3 : start], "little"), int(found[1] if found else 0) - start


@contextmanager
def quiet(active: bool = True) -> Iterator[None]:
    """Keep what the decoder of MP3 says from standard error; pass on all else that is written."""
    with _lock, ExitStack() as stack:
        try:
            said = stack.enter_context(_scratch()) if active else None
            kept = os.dup(2) if said else -1
        except OSError:  # there is no standard error, or no place
            said = None
        if said is None:
            yield
            return
        try:
            os.dup2(said.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            said.seek(0)
            if other := _MPG123.sub(b"", said.read()):
                os.write(kept, other)
            os.close(kept)


def _scratch() -> IO[bytes]:
    """A file without a name."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("said"), "w+b")
    return tempfile.TemporaryFile()


def _system_name(path: Path) -> str | bytes:
    """A name as the system has it, which need not be text; Windows has texts only."""
    return str(path) if os.name == "nt" else os.fsencode(path)


class _Memory(io.BytesIO):
    """A file in memory; libsndfile, when it tries formats, seeks to before the start of one."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, origin + offset))
