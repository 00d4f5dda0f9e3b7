"""The decoding threads of one worker, and counts of what they do."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from factored_asr.results.transcript import Transcript
from factored_asr.server.metrics import Metrics

T = TypeVar("T")
BEHIND_SECONDS = 0.05
BULK_NICENESS = 10  # of the threads of long work, next to those of live streams


class Pools:
    """Threads for live sound, and as many of lower priority for uploads and explanations."""

    def __init__(self, threads: int, metrics: Metrics):
        self.metrics = metrics
        self._live = ThreadPoolExecutor(threads, "live")
        self._bulk = ThreadPoolExecutor(threads, "bulk", initializer=_step_back)
        self._waited = 0.0  # seconds, of the last piece of live sound for a thread

    async def decode(self, function: Callable[..., T], *values: Any) -> T:
        """Run a short piece of decoding on a thread for live sound."""
        came = time.perf_counter()

        def begun() -> T:
            self._waited = time.perf_counter() - came
            return function(*values)

        return await self._on(self._live, begun)

    @property
    def is_behind(self) -> bool:
        """True while live sound waits for its thread longer than it should."""
        return self._waited > BEHIND_SECONDS

    async def work(self, function: Callable[..., T], *values: Any) -> T:
        """Run a longer piece of work on a thread that lets live sound go first."""
        return await self._on(self._bulk, function, *values)

    async def _on(self, pool: ThreadPoolExecutor, function: Callable[..., T], *values: Any) -> T:
        def timed() -> T:
            began = time.perf_counter()
            try:
                return function(*values)
            finally:
                self.metrics.add("busy_seconds_total", amount=time.perf_counter() - began)

        return await asyncio.get_running_loop().run_in_executor(pool, timed)

    def count(self, found: Transcript, protocol: str) -> None:
        """Count the words of a result."""
        self.metrics.add("words_total", protocol, len(found.words))
        if not found.words:
            self.metrics.add("rejected_total")


def _step_back() -> None:
    """Lower the priority of this thread; on Linux each thread has one of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BULK_NICENESS)
