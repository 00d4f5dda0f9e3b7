"""How many threads the matrix products of one recognition use, whatever the environment says."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_lock = threading.Lock()
_users = 0
_limit: Any = None
_lifts = True


@contextmanager
def blas_threads(n: int = 1) -> Iterator[None]:
    """Limit numpy's matrix products to `n` threads while the block runs.

    BLAS libraries start a thread for each core and let them spin between products. Next to other
    work that makes a recognition several times slower, and one recognition is too small to gain.
    The limit holds for the whole process: the first of several recognitions at once sets it, the
    last one restores what was there before. A forked process keeps it: to lift it there starts
    a new thread, which spins.

    Examples
    --------
    >>> import numpy as np
    >>> with blas_threads(1):
    ...     total = np.ones((2, 3)) @ np.ones((3, 2))
    """
    global _users, _limit
    with _lock:
        if not _users:
            _limit = _controller().limit(limits=n, user_api="blas")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users and _lifts:
                _limit.restore_original_limits()


def _forked() -> None:
    """In a forked process: the lock may be held by a thread that it lacks."""
    global _lock, _lifts
    _lock, _lifts = threading.Lock(), False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


@lru_cache(maxsize=1)
def _controller() -> Any:
    """The BLAS libraries of this process; looking for them takes some milliseconds."""
    import numpy  # noqa: F401  loads them
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
