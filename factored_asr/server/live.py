"""One client's live sound: bytes in, partial and final results out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from factored_asr.audio.microphone import Resampler
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


class Incoming:
    """16-bit mono samples, little-endian, at `rate` Hz, in chunks of any size, for a model's rate.

    RefusedError for a rate that no client's sound may have.
    """

    def __init__(self, rate: int, wanted: int):
        if rate not in RATES:
            raise RefusedError(400, "invalid", f"sample_rate must lie in {RATES.start} to "
                               f"{RATES.stop - 1} Hz, got {rate}", "sample_rate")
        self._resampler = Resampler(rate, wanted)
        self._bytes = bytearray()
        self._block = 2 * max(1, round(rate * BLOCK_SECONDS))

    def blocks(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield the blocks of `BLOCK_SECONDS` that are whole."""
        for first in range(0, len(data), self._block):  # a message may hold a minute of sound
            self._bytes += data[first : first + self._block]
            while len(self._bytes) >= self._block:
                block = bytes(self._bytes[: self._block])
                del self._bytes[: self._block]
                yield block

    def rest(self) -> bytes:
        """Return what is left at the end: whole samples, less than a block."""
        rest = bytes(self._bytes[: len(self._bytes) & ~1])
        self._bytes.clear()
        return rest

    def samples(self, block: bytes, last: bool = False) -> np.ndarray:
        """Return samples at the model's rate, (n_samples,) float32; `last`: with all that waits."""
        samples = np.frombuffer(block, "<i2").astype(np.float32) / np.float32(32768)
        ready = self._resampler(samples)
        return np.concatenate([ready, self._resampler.rest()]) if last else ready


class Live:
    """A stream of 16-bit mono samples, little-endian, at `rate` Hz, in chunks of any size.

    Sound is decoded in blocks of `BLOCK_SECONDS`, one after the other, on a decoding thread: the
    caller awaits, and takes no more from its client meanwhile. Results depend on the sound alone,
    not on its chunks.
    """

    def __init__(self, pools: Pools, mode: Mode, rate: int, protocol: str, longest: float,
                 partial: bool = True):
        """`longest`: seconds of sound that the stream may have; `partial`: give partial results."""
        self._sound = Incoming(rate, mode.rate)
        self._pools, self._protocol, self._longest = pools, protocol, longest
        self._gives_partial = partial
        self.mode = mode
        self._stream = mode.stream()
        self._partial = ""
        self._n_samples = 0  # decoded, at the rate of the model
        self._start = 0.0  # of the open utterance, seconds

    async def accept(self, data: bytes) -> Heard:
        """Take the next bytes; RefusedError if the stream becomes longer than the limit."""
        finished: list[Transcript] = []
        for block in self._sound.blocks(data):
            if found := await self._pools.decode(self._step, block):
                finished.append(found)
        return Heard(self._partial, tuple(finished))

    async def finish(self) -> Transcript:
        """End the open utterance with the sound that is left."""
        return await self._pools.decode(self._end, self._sound.rest())

    def _step(self, block: bytes, last: bool = False) -> Transcript | None:
        began = time.perf_counter()
        samples = self._sound.samples(block, last)
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
