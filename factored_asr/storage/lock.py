"""One lock for all that several processes write: an empty file that one of them holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock during the block, against other processes and threads.

    Gives True, or False where the lock file cannot be written: the block then runs without.

    Parameters
    ----------
    path
        The lock file; its folder is made.
    wait
        Wait for whatever holds the lock (default), or raise at once.

    Raises
    ------
    TimeoutError
        The lock is held, and `wait` is False.
    """
    from filelock import FileLock

    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(path).acquire(blocking=wait))
        except TimeoutError:
            raise
        except OSError:
            yield False
            return
        yield True
