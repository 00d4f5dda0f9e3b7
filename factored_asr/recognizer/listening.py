"""Utterances from a microphone, or from blocks of sound, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Protocol

from numpy.typing import ArrayLike

from factored_asr.recognizer.stream import Stream
from factored_asr.results.transcript import Transcript


class Closing(Protocol):
    """Something that can be closed."""

    def close(self) -> None: ...


class Listening:
    """The transcripts of utterances as they end: ``for said in …`` or ``async for said in …``.

    Silence gives none, and neither does speech that is rejected. It belongs to one thread, or to
    one task, at a time; with `async`, blocks are awaited and decoded in another thread.
    """

    def __init__(self, stream: Stream, blocks: Iterable[ArrayLike], source: Closing | None = None):
        self._stream, self._source = stream, source
        self._found = self._utterances(blocks)

    def _utterances(self, blocks: Iterable[ArrayLike]) -> Iterator[Transcript]:
        for block in blocks:
            if self._stream.accept(block) and (found := self._stream.finish()):
                yield found
        if found := self._stream.finish():
            yield found

    def __iter__(self) -> Iterator[Transcript]:
        return self._found

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while (found := await asyncio.to_thread(next, self._found, None)) is not None:
            yield found

    def close(self) -> None:
        """Close the microphone; the loop over the utterances then ends."""
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
