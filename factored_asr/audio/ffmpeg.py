"""What libsndfile cannot read, through the program ffmpeg where it is installed.

M4A, WebM, AAC, WMA and the sound of videos are decoded while they are read. The program gets one
stream or one file of a kind that is already recognised. It may not open anything else, and is ended
when nothing comes out of it for too long.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from factored_asr.audio.ahead import Ahead
from factored_asr.errors import FormatError, MissingError
from factored_asr.storage.scratch import process_file

STALL_SECONDS = 30.0  # without a sample, though there is something to decode
SEEKING = ("mov", "wv")  # whose table of contents may stand at the end: read from a file alone
CONVERT = "ffmpeg -i FILE -ar 16000 -ac 1 sound.wav"
_PART = 1 << 16
_KEPT_ERRORS = 1 << 12


def find_ffmpeg() -> str | None:
    """Return the program, or None where it is not installed."""
    return shutil.which("ffmpeg")


class Decoder:
    """A running ffmpeg, from which a WAV stream is read.

    Parameters
    ----------
    source
        A path, or a stream that is fed to the program.
    demuxer
        ffmpeg's name of the kind.
    name
        Of the sound in errors.

    Raises MissingError where the program is not installed.
    """

    def __init__(self, source: Path | Ahead, demuxer: str, name: str):
        program = find_ffmpeg()
        if program is None:
            raise MissingError("the program ffmpeg is not installed")
        self._name, self._spooled = name, None
        if isinstance(source, Ahead) and demuxer in SEEKING:
            self._spooled = source = _spool(source)
        self._stalled = self._ended = False
        self._waits_for_source = False
        self._progress = time.monotonic()
        self._reading = False
        self._errors = b""
        piped = isinstance(source, Ahead)
        place = "pipe:0" if isinstance(source, Ahead) else f"file:{_real(source)}"
        self._process = subprocess.Popen(
            _command(program, demuxer, place), bufsize=0,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self._threads = [self._begin(self._listen), self._begin(self._watch)]
        if isinstance(source, Ahead):
            self._begin(self._feed, source)

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes of the stream, at most so many; none at its end.

        Raises FormatError if the program fails, or stalls.
        """
        assert self._process.stdout is not None
        self._progress, self._reading = time.monotonic(), True
        try:
            data = self._process.stdout.read(n_bytes)
        finally:
            self._reading = False
        if not data and not self._ended:
            self._ended = True
            self._check()
        return data or b""

    @property
    def complaint(self) -> str:
        """What the program said first; empty if it had nothing to complain about."""
        lines = self._errors.decode(errors="replace").strip().splitlines()
        return re.sub(r"^\[[^\]]* @ 0x\w+\] *", "", lines[0]) if lines else ""

    def close(self) -> None:
        """End the program, and remove what was kept for it."""
        self._ended = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stdin):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        if self._spooled is not None and not str(self._spooled).startswith("/proc/"):
            self._spooled.unlink(missing_ok=True)

    def _check(self) -> None:
        """Raise what went wrong, once all that it wrote has been read."""
        code = self._process.wait()
        self._threads[0].join(STALL_SECONDS)
        if self._stalled:
            raise FormatError(f"ffmpeg gave nothing for {STALL_SECONDS:.0f} s and was ended",
                              self._name)
        if b"matches no streams" in self._errors:
            raise FormatError("holds no sound track", self._name)
        if code:
            why = self.complaint.replace("pipe:0: ", "").split(f"file:{self._name}: ")[-1]
            raise FormatError(f"ffmpeg cannot read it: {why or f'exit code {code}'}", self._name)

    def _begin(self, run: Any, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        thread.start()
        return thread

    def _feed(self, source: Ahead) -> None:
        """Give the program what the source has, as it comes."""
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while not self._ended:
                self._waits_for_source = True
                data = source.read_some(_PART)
                self._waits_for_source, self._progress = False, time.monotonic()
                if not data:
                    break
                pipe.write(data)
        except (OSError, ValueError, FormatError):  # the program has ended, or the source broke
            pass
        finally:
            self._waits_for_source, self._progress = False, time.monotonic()
            _close(pipe)

    def _listen(self) -> None:
        """Keep the first of what the program complains about."""
        pipe = self._process.stderr
        assert pipe is not None
        while data := pipe.read(_PART):
            self._errors = (self._errors + data)[:_KEPT_ERRORS]
        _close(pipe)

    def _watch(self) -> None:
        """End the program when it has something to decode, is waited for, and gives nothing."""
        while self._process.poll() is None and not self._ended:
            waits = self._reading and not self._waits_for_source
            if waits and time.monotonic() - self._progress > STALL_SECONDS:
                self._stalled = True
                self._process.kill()
            time.sleep(0.05)


def _command(program: str, demuxer: str, place: str) -> list[str]:
    return [
        program, "-nostdin", "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file,pipe", "-f", demuxer, "-i", place,
        "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-fflags", "+bitexact",
        "-c:a", "pcm_s16le", "-f", "wav", "pipe:1",
    ]  # fmt: skip


def _real(path: Path) -> Path:
    """A path that another process can open, too."""
    number = str(path).removeprefix("/proc/self/fd/")
    return path if number == str(path) else Path(f"/proc/{os.getpid()}/fd/{number}")


def _spool(source: Ahead) -> Path:
    """Write a stream into a file."""
    def write(path: Path) -> None:
        with path.open("wb") as file:
            while data := source.read(_PART):
                file.write(data)

    return process_file(f"sound-{os.getpid()}-{time.monotonic_ns()}", write)


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:  # what it still held cannot be written
        pass
