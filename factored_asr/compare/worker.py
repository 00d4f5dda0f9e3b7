"""A system's own process: it answers one request after the other, and tells what each cost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.compare.adapters import SAMPLE_RATE, Voice, open_system
from factored_asr.compare.systems import SystemSpec
from factored_asr.errors import FactoredASRError

ONE_THREAD = {
    name: "1" for name in (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    )
}
"""What keeps number crunchers to one thread; read when they are loaded."""
BLOCK_SECONDS = 0.1  # in which a microphone delivers


@dataclass(frozen=True)
class Ready:
    """What a system says of itself when it is loaded."""

    load_seconds: float
    model_bytes: int | None
    """Of the files it must be shipped with; None where they are not known."""


def serve(connection: Connection, spec: SystemSpec, grammar: Path | None) -> None:
    """Load the system and answer requests until the other end is closed.

    ``("hear", samples)`` gives a dictionary: ``text``, ``understood``, ``intent``, ``slots``,
    ``cpu`` and ``wall`` (seconds), or ``error``; ``("latency", samples)`` gives ``first`` and
    ``answer`` (see `latency`); ``("memory", None)`` the most bytes that were held at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks decides when to stop
    _one_core()
    begun = time.perf_counter()
    try:
        voice = open_system(spec, grammar)
    except FactoredASRError as error:
        connection.send(error)
        return
    connection.send(Ready(time.perf_counter() - begun, size_of(voice.files)))
    while True:
        try:
            kind, samples = connection.recv()
        except EOFError:  # all is asked
            return
        try:
            connection.send(_answer(voice, kind, samples))
        except Exception as error:  # a system's failure on one sound is a result, not our end
            connection.send({"error": f"{type(error).__name__}: {error}"})


def latency(voice: Voice, samples: np.ndarray) -> dict[str, float]:
    """When words are there, had the sound come from a microphone.

    Each block arrives when it has been said; work on it begins then, or when that on the block
    before is done.

    Returns
    -------
    ``first``: seconds from the beginning of the sound to the first word that is shown (nan: none
    was); ``answer``: seconds from the end of the sound to the final words.
    """
    n = round(BLOCK_SECONDS * SAMPLE_RATE)
    blocks = [samples[at : at + n] for at in range(0, len(samples), n)]
    shown = voice.listen(iter(blocks))
    duration = len(samples) / SAMPLE_RATE
    if shown is None:
        begun = time.perf_counter()
        text = voice.hear(samples).text
        took = time.perf_counter() - begun
        return {"first": duration + took if text else float("nan"), "answer": took}
    return _listened(shown, len(blocks), duration)


def _listened(shown: Iterator[str], n_blocks: int, duration: float) -> dict[str, float]:
    clock, first = 0.0, float("nan")
    arrivals = [min((i + 1) * BLOCK_SECONDS, duration) for i in range(n_blocks)]
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
    """Bytes of files and of all that lies in folders; None where there are none."""
    if not files:
        return None
    return sum(
        each.stat().st_size
        for path in files for each in ([path] if path.is_file() else path.rglob("*"))
        if each.is_file()
    )


def peak_memory() -> int:
    """The most bytes that this process, or the largest program it ran, held at once."""
    import resource

    status = Path("/proc/self/status")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if status.is_file():  # the other figure may be that of the process before exec
        fields = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        own = int(fields["VmHWM"].split()[0])
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return 1024 * max(own, children)


def _answer(voice: Voice, kind: str, samples: np.ndarray) -> Any:
    if kind == "memory":
        return peak_memory()
    if kind == "latency":
        return latency(voice, samples)
    wall, cpu = time.perf_counter(), _cpu_seconds()
    heard = voice.hear(samples)
    cpu, wall = _cpu_seconds() - cpu, time.perf_counter() - wall
    return {**asdict(heard), "cpu": cpu, "wall": wall}


def _cpu_seconds() -> float:
    """Of all threads, and of programs that were run."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _one_core() -> None:
    """Keep to one core: some systems have threads of their own that no variable limits."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
