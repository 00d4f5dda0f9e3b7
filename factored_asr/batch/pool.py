"""Worker processes, each with a recogniser of its own; they share the graph in memory.

A worker is an executor of one process, so that after its death the sound it had is known, and the
other workers go on. The package loky starts it clean (no fork, no import of the calling
program) and notices its death; see https://loky.readthedocs.io.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from factored_asr.batch.inputs import Input
from factored_asr.batch.work import (
    BatchOptions,
    Job,
    Outcome,
    perform,
    recognizer_of,
    transcribe_input,
)
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.storage.cache import QUIET, has_warned

MAX_DEATHS = 3  # of workers that had the same sound
AHEAD = 2  # sounds a worker holds, so that it need not wait while an output is written
SHORT_SECONDS = 60.0  # a longer sound waits for the first free worker
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "MKL", "OMP", "NUMBA")}
ORPHAN_SECONDS = 1.0

Outcomes = Generator[tuple[int, Outcome], None, None]
"""Yields the place of a sound in the list with its outcome, and ends the work when closed."""


def in_this_process(recognizer_for: Callable[[Input], Recognizer], options: BatchOptions,
                    sounds: Sequence[Input], places: Sequence[int]) -> Outcomes:
    """Transcribe one sound after the other, in order."""
    for place in places:
        yield place, transcribe_input(recognizer_for(sounds[place]), sounds[place], options)


def in_processes(job: Job, sounds: Sequence[Input], places: Sequence[int],
                 n_workers: int) -> Outcomes:
    """Share sounds among worker processes; yield each outcome as soon as it is there.

    Closing the iterator kills the workers.
    """
    _ = job.key  # computed once here, not by every worker
    if refusal := _refusal():
        warnings.warn(f"no worker processes can be started ({refusal}), this process does the work",
                      RuntimeWarning, stacklevel=2)
        yield from in_this_process(lambda sound: recognizer_of(job), job.options, sounds, places)
        return
    crew = _Crew(job, sounds, deque(places))
    workers = [_Worker(first=i == 0) for i in range(min(n_workers, len(places)))]
    finished: list[tuple[int, Outcome]] = []
    try:
        while True:
            for depth in (1, AHEAD):  # all get a first sound before any gets a second
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


def _refusal() -> OSError | None:
    """What the system says where it has no locks for processes, as without a writable /dev/shm."""
    from loky.backend import get_context

    try:
        get_context("loky").Lock()
    except OSError as error:
        return error
    return None


class _Worker:
    """A process and the sounds it was given; it works on the first of them.

    The `first` of several warns that nothing is cached, if its parent has not.
    """

    def __init__(self, first: bool = True) -> None:
        self.held: deque[tuple[Future[Outcome], int]] = deque()
        self._env = ONE_THREAD if first and not has_warned() else {**ONE_THREAD, QUIET: "1"}
        self._start()

    def _start(self) -> None:
        from loky import ProcessPoolExecutor

        self._executor: Any = ProcessPoolExecutor(
            1, env=self._env, initializer=_settle, initargs=(os.getpid(),)
        )  # whose process starts with its first task

    def give(self, job: Job, sound: Input, place: int) -> None:
        """Submit a sound; a process that starts for it ignores Ctrl-C, which the parent handles."""
        masks = hasattr(signal, "pthread_sigmask")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
        try:
            self.held.append((self._executor.submit(perform, job, sound), place))
        finally:
            if masks:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def replace(self) -> None:
        """Start a new process in place of one that has died."""
        self.end()
        self.held.clear()
        self._start()

    def end(self) -> None:
        """Kill the process."""
        self._executor.shutdown(wait=True, kill_workers=True)


@dataclass
class _Crew:
    """The sounds that are left, and the deaths of workers."""

    job: Job
    sounds: Sequence[Input]
    waiting: deque[int]
    deaths: Counter[int] = field(default_factory=Counter)

    def fill(self, worker: _Worker, depth: int) -> None:
        """Submit sounds until a worker holds `depth`; after the first only short ones, as another
        worker would hardly begin them sooner."""
        while self.waiting and len(worker.held) < depth:
            sound = self.sounds[self.waiting[0]]
            if worker.held and sound.seconds > SHORT_SECONDS:
                return
            worker.give(self.job, sound, self.waiting.popleft())

    def collect(self, worker: _Worker) -> Outcomes:
        """Yield what a worker has finished; if it has died, blame its first sound."""
        while worker.held and worker.held[0][0].done():
            future, place = worker.held.popleft()
            if not isinstance(future.exception(), BrokenProcessPool):
                yield place, outcome_of(future, self.sounds[place])
                continue
            lost = [each for _, each in worker.held]
            worker.replace()
            self.deaths[place] += 1
            if self.deaths[place] < MAX_DEATHS:
                lost.insert(0, place)
            self.waiting.extendleft(reversed(lost))
            if self.deaths[place] == MAX_DEATHS:
                yield place, Outcome(error=(
                    f"{self.sounds[place].label}: {MAX_DEATHS} workers have died of it, one after "
                    "the other: killed, or out of memory"
                ))


def outcome_of(future: Future[Outcome], sound: Input) -> Outcome:
    """Return what a worker made of a sound; a bug on one sound must not lose the others."""
    try:
        return future.result()
    except Exception as error:
        return Outcome(error=f"{sound.label}: {type(error).__name__}: {error}")


def _settle(parent: int) -> None:
    """In a worker: ignore Ctrl-C, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
