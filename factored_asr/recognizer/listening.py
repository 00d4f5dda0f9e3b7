"""Utterances and detections from a microphone, or from blocks of sound, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from numpy.typing import ArrayLike

from factored_asr.recognizer.stream import Stream
from factored_asr.results.transcript import Transcript


class Closing(Protocol):
    """Something that can be closed."""

    def close(self) -> None: ...


Told = TypeVar("Told")


class Listening(Generic[Told]):
    """What is heard, as it happens: ``for said in …`` or ``async for said in …``.

    It belongs to one thread, or to one task, at a time; with `async`, blocks are awaited and
    decoded in another thread.
    """

    def __init__(self, found: Iterator[Told], source: Closing | None = None):
        self._found, self._source = found, source

    def __iter__(self) -> Iterator[Told]:
        return self._found

    async def __aiter__(self) -> AsyncIterator[Told]:
        import asyncio  # which most programs do without

        while (found := await asyncio.to_thread(next, self._found, None)) is not None:
            yield found

    def close(self) -> None:
        """Close the microphone; the loop then ends."""
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> Listening[Told]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def utterances(stream: Stream, blocks: Iterable[ArrayLike]) -> Iterator[Transcript]:
    """Yield the transcripts of utterances as they end.

    Silence gives none, and neither does speech that is rejected.
    """
    for block in blocks:
        if stream.accept(block) and (found := stream.finish()):
            yield found
    if found := stream.finish():
        yield found
