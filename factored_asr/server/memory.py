"""How the C library gives memory back, where it is glibc; elsewhere nothing changes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt in malloc.h
LARGE, FREE = 1 << 18, 16 << 20
IDLE_SECONDS, BUSY_SECONDS = 0.5, 30.0


@cache
def _library() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def map_large_arrays() -> None:
    """Let the C library map large arrays one by one, as it does before it adapts to their size.

    The tables of a search have room that is seldom used: mapped, only used pages take memory, and
    all of it goes back at the end of a stream. Otherwise 40 streams of commands took 13 MB each.
    """
    with suppress(OSError, AttributeError, TypeError):
        _library().mallopt(M_MMAP_THRESHOLD, LARGE)
        _library().mallopt(M_TRIM_THRESHOLD, FREE)


def give_back() -> None:
    """Give free memory between pieces in use back to the system; takes some milliseconds."""
    with suppress(OSError, AttributeError, TypeError):
        _library().malloc_trim(0)


class Trimmer:
    """Gives back what small pieces of many sessions have left free between each other.

    After 2,000 sessions that is a third of a worker's memory. `n_sessions` and `n_ended` tell how
    many sessions run, and how many have ended.
    """

    def __init__(self, n_sessions: Callable[[], int], n_ended: Callable[[], float]):
        self._n_sessions, self._n_ended = n_sessions, n_ended
        self._last, self._ended = time.monotonic(), n_ended()

    def tick(self) -> bool:
        """Trim once nothing runs, else now and then; call it often. Returns whether it did."""
        waited = time.monotonic() - self._last
        if waited < (BUSY_SECONDS if self._n_sessions() else IDLE_SECONDS) or (
                self._n_ended() == self._ended):
            return False
        self._last, self._ended = time.monotonic(), self._n_ended()
        gc.collect()  # closed connections are cycles, with their sound and searches
        give_back()
        return True
