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
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from factored_asr.batch.inputs import Input
from factored_asr.batch.work import BatchOptions, Job, Outcome, perform, transcribe_input
from factored_asr.recognizer.recognizer import Recognizer

MAX_DEATHS = 3  # of workers that had the same sound
AHEAD = 2  # sounds a worker holds: it need not wait while an output is brought to the disk
SHORT_SECONDS = 60.0  # a longer sound waits for whoever is free first
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
    crew = _Crew(job, sounds, deque(places))
    workers = [_Worker() for _ in range(min(n_workers, len(places)))]
    finished: list[Finished] = []
    try:
        while True:
            for depth in (1, AHEAD):  # nobody has a second sound before all have a first
                for worker in workers:
                    crew.fill(worker, depth)
            yield from finished  # while the workers are busy
            running = [worker.held[0][0] for worker in workers if worker.held]
            if not running:
                return
            wait(running, return_when=FIRST_COMPLETED)
            finished = [each for worker in workers for each in crew.collect(worker)]
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process, and the sounds that it was given: the first of them is at work."""

    def __init__(self) -> None:
        self.held: deque[tuple[Future[Outcome], int]] = deque()
        self._executor = self._start()

    def _start(self) -> Any:
        """An executor of one process, which starts with its first work."""
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor(1, env=ONE_THREAD, initializer=_settle, initargs=(os.getpid(),))

    def give(self, job: Job, sound: Input, place: int) -> None:
        """Give work; a process that is started for it never hears of Ctrl-C: that is ours."""
        masks = hasattr(signal, "pthread_sigmask")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
        try:
            self.held.append((self._executor.submit(perform, job, sound), place))
        finally:
            if masks:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def replace(self) -> None:
        """Another process in place of one that has died; it holds nothing."""
        self.end()
        self.held.clear()
        self._executor = self._start()

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._executor.shutdown(wait=True, kill_workers=True)


@dataclass
class _Crew:
    """The work that is left, and who has died of it."""

    job: Job
    sounds: Sequence[Input]
    waiting: deque[int]
    deaths: Counter[int] = field(default_factory=Counter)

    def fill(self, worker: _Worker, depth: int) -> None:
        """Give a worker sounds until it holds so many; beyond the first only a short one, which
        another worker would hardly have sooner."""
        while self.waiting and len(worker.held) < depth:
            sound = self.sounds[self.waiting[0]]
            if worker.held and sound.seconds > SHORT_SECONDS:
                return
            worker.give(self.job, sound, self.waiting.popleft())

    def collect(self, worker: _Worker) -> Iterator[Finished]:
        """What a worker has finished; where it has died, its first sound is to blame."""
        while worker.held and worker.held[0][0].done():
            future, place = worker.held.popleft()
            outcome = _outcome(future, self.sounds[place])
            if outcome is None:
                lost = [each for _, each in worker.held]
                worker.replace()
                self.deaths[place] += 1
                if self.deaths[place] < MAX_DEATHS:
                    lost.insert(0, place)
                else:
                    outcome = Outcome(error=(
                        f"{self.sounds[place].label}: {MAX_DEATHS} workers have died of it, one "
                        "after the other: killed, or out of memory"
                    ))
                self.waiting.extendleft(reversed(lost))
            if outcome is not None:
                yield place, outcome


def _outcome(future: Future[Outcome], sound: Input) -> Outcome | None:
    """What a worker found; None where it has died."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool:
        return None
    except Exception as error:  # a fault of ours on one sound is no reason to lose the others
        return Outcome(error=f"{sound.label}: {type(error).__name__}: {error}")


def _settle(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
