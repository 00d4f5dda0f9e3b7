"""Worker processes, each with a recogniser of its own over the same graph in memory.

A worker is an executor of one process: when it dies, it is known which sound it had, and the
others go on. loky starts it clean (no fork, no import of the calling program) and notices its
death; see https://loky.readthedocs.io.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from factored_asr.batch.inputs import Input
from factored_asr.batch.work import BatchOptions, Job, Outcome, perform, transcribe_input
from factored_asr.recognizer import Recognizer

MAX_DEATHS = 3  # of workers that had the same sound
ONE_THREAD = {
    name: "1" for name in (
        "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS",
    )
}
ORPHAN_SECONDS = 1.0

Finished = tuple[int, Outcome]
"""Place of a sound in the list, and what came of it."""


def in_this_process(
    recognizer: Recognizer, options: BatchOptions, sounds: Sequence[Input], places: Sequence[int]
) -> Iterator[Finished]:
    """One sound after the other, in order."""
    for place in places:
        yield place, transcribe_input(recognizer, sounds[place], options)


def in_processes(
    job: Job, sounds: Sequence[Input], places: Sequence[int], n_workers: int
) -> Iterator[Finished]:
    """Shared among worker processes; each outcome as soon as it is there.

    Closing the iterator ends the workers, whatever they are at.
    """
    _ = job.key  # computed here and sent along, not by every worker
    waiting = deque(places)
    deaths = dict.fromkeys(places, 0)
    workers: dict[Future[Outcome], tuple[Any, int]] = {}
    idle = [_worker() for _ in range(min(n_workers, len(places)))]
    try:
        while waiting or workers:
            while waiting and idle:
                worker, place = idle.pop(), waiting.popleft()
                workers[_submit(worker, job, sounds[place])] = worker, place
            for future in wait(workers, return_when=FIRST_COMPLETED).done:
                worker, place = workers.pop(future)
                outcome = _outcome(future, sounds[place])
                if outcome is None:  # the worker has died
                    _end(worker)
                    worker = _worker()
                    deaths[place] += 1
                    if deaths[place] < MAX_DEATHS:
                        waiting.appendleft(place)
                    else:
                        outcome = Outcome(error=(
                            f"{sounds[place].label}: {MAX_DEATHS} workers have died of it, one "
                            "after the other: killed, or out of memory"
                        ))
                idle.append(worker)
                if outcome is not None:
                    yield place, outcome
    finally:
        for worker in [*idle, *(worker for worker, _ in workers.values())]:
            _end(worker)


def _worker() -> Any:
    """An executor of one process, which starts with its first work."""
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(1, env=ONE_THREAD, initializer=_settle, initargs=(os.getpid(),))


def _submit(worker: Any, job: Job, sound: Input) -> Future[Outcome]:
    """Give work; a process that is started for it never hears of Ctrl-C: that is ours."""
    future: Future[Outcome]
    if not hasattr(signal, "pthread_sigmask"):
        future = worker.submit(perform, job, sound)
        return future
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        future = worker.submit(perform, job, sound)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return future


def _outcome(future: Future[Outcome], sound: Input) -> Outcome | None:
    """What a worker found; None where it has died."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool:
        return None
    except Exception as error:  # a fault of ours on one sound is no reason to lose the others
        return Outcome(error=f"{sound.label}: {type(error).__name__}: {error}")


def _end(worker: Any) -> None:
    worker.shutdown(wait=True, kill_workers=True)


def _settle(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
