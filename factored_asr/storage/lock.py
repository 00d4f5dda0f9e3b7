"""One lock for all that several processes write: an empty file that one of them holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, *, wait: bool = True, remove: bool = False) -> Iterator[bool]:
    """Hold a lock during the block, against other processes and threads.

    Gives True, or False where the lock file cannot be written: the block then runs without. If
    another holds the lock, it waits, or raises TimeoutError at once if `wait` is False. The lock
    file stays for the next one, or goes at the end if `remove` is True.
    """
    from filelock import FileLock

    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(path).acquire(blocking=wait))
        except TimeoutError:
            raise
        except (OSError, NotImplementedError):  # some network disks have no locks
            yield False
            return
        try:
            yield True
        finally:
            if remove:  # while it is held, so that no other process can have it
                with suppress(OSError):  # Windows removes no open file
                    path.unlink()
