"""Standard input, output and error as users really connect them: closed, full, of any encoding."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress

ESCAPE = "factored_asr.escape"
"""Error handler of encodings: what they lack is written as ``\\uXXXX``, as JSON does it."""
BROKEN_PIPE = 141
"""Exit code where the reader of our output has closed it: 128 + SIGPIPE, as of other programs."""


class _Closed(io.TextIOBase):
    """Standard output that was closed before the program began."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def guarded(run: Callable[[], int], complain: Callable[[Exception, int], int]) -> int:
    """Run a program; return its exit code.

    Where standard output is full or closed, `complain` is given the reason and an exit code.
    """
    settle()
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
        return complain(OSError("standard output was closed by its reader"), BROKEN_PIPE)
    except OSError as error:
        give_up_output()
        return complain(OSError(refusal(error)), 1)


def settle() -> None:
    """Make the standard streams safe to use.

    The numbers of closed ones are taken, so that no other file gets them. A closed standard error
    swallows what it is given, a closed standard output refuses it. Letters that the encoding lacks
    are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = _Closed()
    codecs.register_error(ESCAPE, _escaped)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors=ESCAPE)  # type: ignore[union-attr]


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def give_up_output() -> None:
    """Write nothing more to standard output, also not at the end of the program."""
    with suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def refusal(error: OSError) -> str:
    """Return an error of the system as a line."""
    place = "standard output" if error.filename is None else os.fsdecode(error.filename)
    return f"{place}: {error.strerror or error}"
