"""One client's live sound: bytes in, partial and final results out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from factored_asr.batch.cutting import shifted
from factored_asr.results.transcript import Transcript
from factored_asr.server.modes import Mode
from factored_asr.server.options import BLOCK_SECONDS, RefusedError
from factored_asr.server.pools import Pools

RATES = range(4000, 192_001)


@dataclass(frozen=True)
class Heard:
    """What came of some bytes."""

    partial: str
    """The text of the open utterance so far; its last words may still change."""
    finished: tuple[Transcript, ...] = ()
    """Utterances that ended; times count from the start of the stream."""


class Live:
    """A stream of 16-bit mono samples, little-endian, at `rate` Hz, in chunks of any size.

    Sound is decoded in blocks of `BLOCK_SECONDS`, one after the other, on a decoding thread: the
    caller awaits, and takes no more from its client meanwhile. Results depend on the sound alone,
    not on its chunks.
    """

    def __init__(self, pools: Pools, mode: Mode, rate: int, protocol: str, longest: float,
                 partial: bool = True):
        """`longest`: seconds of sound that the stream may have; `partial`: give partial results."""
        check_sample_rate(rate)
        self._pools, self._protocol, self._longest = pools, protocol, longest
        self._gives_partial = partial
        self.mode = mode
        self._stream = mode.stream()
        self._resampler = _resampler(rate, mode.rate)
        self._bytes = bytearray()
        self._block = 2 * max(1, round(rate * BLOCK_SECONDS))
        self._partial = ""
        self._n_samples = 0  # decoded, at the rate of the model
        self._start = 0.0  # of the open utterance, seconds

    async def accept(self, data: bytes) -> Heard:
        """Take the next bytes; RefusedError if the stream becomes longer than the limit."""
        finished: list[Transcript] = []
        for first in range(0, len(data), self._block):  # a message may hold a minute of sound
            self._bytes += data[first : first + self._block]
            while len(self._bytes) >= self._block:
                block = bytes(self._bytes[: self._block])
                del self._bytes[: self._block]
                if found := await self._pools.decode(self._step, block):
                    finished.append(found)
        return Heard(self._partial, tuple(finished))

    async def finish(self) -> Transcript:
        """End the open utterance with the sound that is left."""
        rest = bytes(self._bytes[: len(self._bytes) & ~1])
        self._bytes.clear()
        return await self._pools.decode(self._end, rest)

    def _step(self, block: bytes, last: bool = False) -> Transcript | None:
        began = time.perf_counter()
        samples = np.frombuffer(block, "<i2").astype(np.float32) / np.float32(32768)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        self._n_samples += len(samples)
        if self._n_samples > self._longest * self.mode.rate:
            raise RefusedError(413, "limit", f"the stream is longer than {self._longest:g} s")
        ended = len(samples) > 0 and self._stream.accept(samples)
        metrics = self._pools.metrics
        metrics.add("audio_seconds_total", self._protocol, len(samples) / self.mode.rate)
        if ended and not last:
            metrics.observe("block_seconds", time.perf_counter() - began)
            return self._finished()
        if self._gives_partial and not last:
            # More work than needed is done only while no other stream waits for it.
            self._partial = self._stream.partial(early=not self._pools.is_behind)
        metrics.observe("block_seconds", time.perf_counter() - began)
        return None

    def _end(self, rest: bytes) -> Transcript:
        self._step(rest, last=True)
        return self._finished()

    def _finished(self) -> Transcript:
        began = time.perf_counter()
        found = shifted(self._stream.finish(), self._start)
        self._start = self._n_samples / self.mode.rate
        self._partial = ""
        self._pools.metrics.observe("final_seconds", time.perf_counter() - began)
        self._pools.count(found, self._protocol)
        return found


def check_sample_rate(rate: int) -> None:
    """Raise RefusedError for a rate that no client's sound may have."""
    if rate not in RATES:
        raise RefusedError(400, "invalid", f"sample_rate must lie in {RATES.start} to "
                           f"{RATES.stop - 1} Hz, got {rate}", "sample_rate")


def _resampler(rate: int, wanted: int) -> Any:
    """Return what makes one rate of another; None where they are the same."""
    if rate == wanted:
        return None
    import soxr

    return soxr.ResampleStream(rate, wanted, 1, dtype="float32")

