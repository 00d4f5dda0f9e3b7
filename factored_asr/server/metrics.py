"""Counters of all workers, in memory that they share, in Prometheus' text format."""

from __future__ import annotations

import bisect
import mmap
import threading
from dataclasses import dataclass

import numpy as np

PROTOCOLS = ("openai", "understand", "explain", "vosk", "wyoming")
REFUSALS = ("unauthorized", "too_large", "busy", "draining", "origin", "invalid", "limit")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True)
class Family:
    """One metric: its name, kind, help, label, and the values of the label."""

    name: str
    kind: str
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)


FAMILIES = (
    Family("sessions", "gauge", "Streams and requests that run now.", "protocol", PROTOCOLS),
    Family("connections", "gauge", "Connections that are open now."),
    Family("requests_total", "counter", "Streams and requests served.", "protocol", PROTOCOLS),
    Family("refused_total", "counter", "Requests refused.", "reason", REFUSALS),
    Family("failures_total", "counter", "Requests that failed by a fault of the server.",
           "protocol", PROTOCOLS),
    Family("audio_seconds_total", "counter", "Seconds of sound decoded.", "protocol", PROTOCOLS),
    Family("words_total", "counter", "Words recognised.", "protocol", PROTOCOLS),
    Family("rejected_total", "counter", "Utterances with sound but without words."),
    Family("busy_seconds_total", "counter", "Seconds that decoding threads worked."),
    Family("worker_starts_total", "counter", "Workers started in place of one that died."),
    Family("block_seconds", "histogram", "From a block of live sound to its partial result."),
    Family("final_seconds", "histogram", "From the end of an utterance to its final result."),
)


class Metrics:
    """Counters of each worker and their sums.

    `n_workers` rows of counters lie in memory that forked processes share; `worker` is the row
    that this process writes.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.add("requests_total", "vosk")
    >>> metrics.total("requests_total", "vosk")
    1.0
    """

    def __init__(self, n_workers: int = 1):
        self._slots: dict[tuple[str, str], int] = {}
        n_slots = 0
        for family in FAMILIES:
            for value in family.values:
                self._slots[family.name, value] = n_slots
                n_slots += len(SECONDS) + 2 if family.kind == "histogram" else 1
        self._memory = mmap.mmap(-1, 8 * n_slots * n_workers)
        self._table = np.frombuffer(self._memory, np.float64).reshape(n_workers, n_slots)
        self._lock = threading.Lock()
        self.worker = 0

    def add(self, name: str, label: str = "", amount: float = 1.0) -> None:
        """Add to a counter or gauge."""
        with self._lock:
            self._table[self.worker, self._slots[name, label]] += amount

    def surplus(self, name: str, value: float) -> float:
        """Set a gauge of this worker; return by how much it exceeds the least of all workers."""
        column = self._table[:, self._slots[name, ""]]
        column[self.worker] = value
        return float(value - column.min())

    def observe(self, name: str, seconds: float) -> None:
        """Count a duration in a histogram."""
        first = self._slots[name, ""]
        with self._lock:
            row = self._table[self.worker]
            row[first + bisect.bisect_left(SECONDS, seconds)] += 1
            row[first + len(SECONDS) + 1] += seconds

    def total(self, name: str, label: str | None = None) -> float:
        """Return the sum over the workers; without a label, over its values, too."""
        slots = [slot for (family, value), slot in self._slots.items()
                 if family == name and label in (None, value)]
        return float(self._table[:, slots].sum())

    def fork(self, worker: int) -> None:
        """Write the row of this worker from now on; what its predecessor ran has ended."""
        self._lock = threading.Lock()
        self.worker = worker
        for name, label in (("connections", ""), *(("sessions", label) for label in PROTOCOLS)):
            self._table[worker, self._slots[name, label]] = 0.0

    def text(self) -> str:
        """Return all metrics in Prometheus' text format 0.0.4."""
        sums, lines = self._table.sum(axis=0), []
        for family in FAMILIES:
            name = f"factored_asr_{family.name}"
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
            for value in family.values:
                slot = self._slots[family.name, value]
                if family.kind == "histogram":
                    counts = sums[slot : slot + len(SECONDS) + 1].cumsum()
                    lines += [f'{name}_bucket{{le="{bound}"}} {count:.0f}'
                              for bound, count in zip((*SECONDS, "+Inf"), counts, strict=True)]
                    total = sums[slot + len(SECONDS) + 1]
                    lines += [f"{name}_sum {total:.6f}", f"{name}_count {counts[-1]:.0f}"]
                    continue
                label = f'{{{family.label}="{value}"}}' if family.label else ""
                lines.append(f"{name}{label} {sums[slot]:.10g}")
        return "\n".join(lines) + "\n"
