"""The process of one system: it answers requests and measures their cost."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.compare.adapters import SAMPLE_RATE, System, open_system
from factored_asr.compare.systems import SystemSpec
from factored_asr.errors import FactoredASRError

BLOCK_SECONDS = 0.1  # of a microphone


@dataclass(frozen=True)
class Ready:
    """The first message of a loaded system."""

    load_seconds: float
    model_bytes: int | None
    """Size of the files it must be shipped with; None: unknown."""


def serve(connection: Connection, spec: SystemSpec, grammar: Path | None) -> None:
    """Load the system and answer requests until the other end is closed.

    ``("transcribe", samples)`` returns a dictionary: ``text``, ``understood``, ``intent``,
    ``slots``, ``cpu`` and ``wall`` (seconds), or ``error``; ``("latency", samples)`` returns
    ``first`` and ``answer`` (see `latency`); ``("memory", None)`` the peak memory in bytes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    if hasattr(os, "sched_setaffinity"):  # one core: no variable limits some systems' threads
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    begun = time.perf_counter()
    try:
        system = open_system(spec, grammar)
    except FactoredASRError as error:
        connection.send(error)
        return
    connection.send(Ready(time.perf_counter() - begun, size_of(system.files)))
    while True:
        try:
            kind, samples = connection.recv()
        except EOFError:
            return
        try:
            connection.send(_answer(system, kind, samples))
        except Exception as error:  # a failure on one sound is a result
            connection.send({"error": f"{type(error).__name__}: {error}"})


def latency(system: System, samples: np.ndarray) -> dict[str, float]:
    """Measure when words appear if the sound comes from a microphone, block by block.

    ``first`` are the seconds from the start of the sound to the first word shown (nan: none),
    ``answer`` those from the end of the sound to the final words. The system works on a block when
    it has been spoken, or after it has finished the block before.
    """
    n = round(BLOCK_SECONDS * SAMPLE_RATE)
    blocks = [samples[at : at + n] for at in range(0, len(samples), n)]
    shown = system.stream(iter(blocks))
    duration = len(samples) / SAMPLE_RATE
    arrivals = [min((i + 1) * BLOCK_SECONDS, duration) for i in range(len(blocks))]
    if shown is None:
        arrivals, shown = [], map(lambda whole: system.transcribe(whole).text, [samples])
    clock, first = 0.0, float("nan")
    for arrival in [*arrivals, duration]:  # the last: after the end
        begun = time.perf_counter()
        text = next(shown, "")
        clock = max(clock, arrival) + time.perf_counter() - begun
        if text and first != first:
            first = clock
    for _ in shown:
        pass
    return {"first": first, "answer": clock - duration}


def size_of(files: tuple[Path, ...]) -> int | None:
    """Return the bytes of files and of all files in folders; None without any."""
    found = {each for path in files for each in (path, *path.rglob("*")) if each.is_file()}
    return sum(each.stat().st_size for each in found) if files else None


def peak_memory() -> int:
    """Return the peak memory in bytes of this process, or of the largest program it ran."""
    import resource

    status = Path("/proc/self/status")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if status.is_file():  # ru_maxrss may include the process before exec
        fields = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        own = int(fields["VmHWM"].split()[0])
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return 1024 * max(own, children)


def _answer(system: System, kind: str, samples: np.ndarray) -> Any:
    if kind == "memory":
        return peak_memory()
    if kind == "latency":
        return latency(system, samples)
    wall, cpu = time.perf_counter(), _cpu_seconds()
    result = system.transcribe(samples)
    cpu, wall = _cpu_seconds() - cpu, time.perf_counter() - wall
    return {**asdict(result), "cpu": cpu, "wall": wall}


def _cpu_seconds() -> float:
    """Return the CPU time of all threads, and of programs that were run."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
