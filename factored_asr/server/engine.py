"""The one engine behind all protocols: shared models, decoding threads, limits, counts."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from factored_asr.audio.reading import Source
from factored_asr.errors import MissingError
from factored_asr.results.transcript import Transcript
from factored_asr.server.asked import Asked
from factored_asr.server.live import Live
from factored_asr.server.metrics import Metrics
from factored_asr.server.modes import Mode, joined
from factored_asr.server.options import RefusedError, ServerOptions
from factored_asr.server.phrases import PhraseCompiler, checked
from factored_asr.server.pools import Pools
from factored_asr.server.wake import WakeWords, Watch
from factored_asr.server.warming import babble, warm_up

ASKED_KEPT = 16  # what clients last asked to expect: some megabytes each


class Engine:
    """What the connections of one worker share.

    Every connection is a stream or a request; its sound is decoded on one of a few threads, block
    by block, in the order in which blocks arrive. Uploads and explanations have threads of their
    own, with lower priority where the system allows it.

    Examples
    --------
    >>> from factored_asr import Recognizer
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    >>> engine = Engine([Mode.of("commands", recognizer)])
    >>> engine.mode("").name
    'commands'
    """

    def __init__(self, modes: Sequence[Mode], options: ServerOptions | None = None,
                 metrics: Metrics | None = None, wake: WakeWords | None = None):
        """`modes`: the first one is what clients get that name none. `wake`: wake words."""
        if not modes:
            raise MissingError("a server needs a grammar or dictation to recognise")
        self.options = options or ServerOptions()
        self.limits = self.options.limits
        self.modes = {mode.name: mode for mode in modes}
        self.grammars = {
            mode.name: mode.recognizer.recipe.grammar for mode in modes
            if mode.recognizer and mode.recognizer.recipe and mode.recognizer.recipe.grammar
        }
        """By the names of their modes."""
        self.wake = wake
        """What clients may listen for; None: nothing."""
        self.metrics = metrics or Metrics()
        self.draining = False
        self.n_sessions = 0
        """Streams and requests of this worker that run now."""
        self.n_ended = 0
        """Those that have run."""
        self._held = 0  # bytes of uploads
        self._phrases: PhraseCompiler | None = None
        self._asked = OrderedDict[tuple[str, Asked], Mode]()
        self.pools = Pools(self.options.n_threads, self.metrics)

    def warm_up(self) -> None:
        """Decode some sound in every mode, so that the first client does not wait for it."""
        for mode in self.modes.values():
            sound = babble(mode.rate)
            warm_up(mode, sound)
            list(mode.parts(_wav(sound, mode.rate), 10.0))
            if mode.reader is not None:
                mode.reader.read("turn on the light")
        if self.wake is not None:
            self.wake.warm_up()

    def mode(self, name: str | None) -> Mode:
        """Return the mode of this name, by default the first; RefusedError if there is none."""
        found = self.modes.get(name) if name else next(iter(self.modes.values()))
        if found is None:
            raise RefusedError(400, "model_not_found", f"there is no model {name!r}: there are "
                               f"{', '.join(self.modes)}", "model")
        return found

    def grammar_mode(self, name: str | None) -> Mode:
        """Return a mode that understands, by default the first; RefusedError if there is none."""
        if name:
            found = self.mode(name)
        else:
            found = next((m for m in self.modes.values() if m.reader), self.mode(None))
        if found.reader is None:
            raise no_grammar(found)
        return found

    async def asked_mode(self, mode: Mode, asked: Asked) -> Mode:
        """Return a mode that expects what a client asks for; the last ones are kept.

        RefusedError if it cannot.
        """
        if not asked:
            return mode
        if (mode.name, asked) not in self._asked:
            made = await self.pools.work(mode.with_asked, asked, self.grammars)
            self._asked[mode.name, asked] = made
            if len(self._asked) > ASKED_KEPT:
                self._asked.popitem(last=False)
        self._asked.move_to_end((mode.name, asked))
        return self._asked[mode.name, asked]

    async def phrase_mode(self, phrases: Any) -> Mode:
        """Return the mode of a client's phrases; RefusedError if they are none, or too many."""
        first = self.mode(None)
        if first.recognizer is None or first.recognizer.recipe is None:
            raise RefusedError(400, "invalid", "this server compiles no phrases", "phrase_list")
        if self._phrases is None:
            self._phrases = PhraseCompiler(first.recognizer.model, first.recognizer.recipe,
                                           self.limits)
        return await self._phrases.mode(checked(phrases, self.limits))

    @contextmanager
    def session(self, protocol: str) -> Iterator[None]:
        """Hold one of the sessions; RefusedError if all are taken or the server is to stop."""
        if self.draining:
            raise RefusedError(503, "draining", "the server is about to stop")
        if self.metrics.total("sessions") >= self.limits.sessions:
            raise RefusedError(503, "busy",
                               f"all {self.limits.sessions} sessions are taken: try again")
        self.metrics.add("sessions", protocol)
        self.n_sessions += 1
        try:
            yield
            self.metrics.add("requests_total", protocol)
        finally:
            self.n_sessions -= 1
            self.n_ended += 1
            self.metrics.add("sessions", protocol, -1)

    @contextmanager
    def memory(self, n_bytes: int) -> Iterator[None]:
        """Hold memory for an upload; RefusedError if the uploads of this worker hold too much."""
        if self._held + n_bytes > self.limits.memory_bytes:
            raise RefusedError(503, "busy",
                               "other uploads take all memory there is for them: try again")
        self._held += n_bytes
        try:
            yield
        finally:
            self._held -= n_bytes

    def live(self, mode: Mode, rate: int, protocol: str, partial: bool = True) -> Live:
        """Begin a stream of 16-bit samples at `rate` Hz; RefusedError for a rate out of range.

        `partial`: the client gets partial results.
        """
        return Live(self.pools, mode, rate, protocol, self.limits.stream_seconds, partial)

    def watch(self, names: object, rate: int) -> Watch:
        """Begin to listen for wake words; RefusedError for others than the server has."""
        if self.wake is None:
            raise RefusedError(400, "no_wake_words", "this server listens for no wake words: "
                               "start it with --wake")
        return Watch(self.pools, self.wake, self.wake.chosen(names), rate)

    async def transcribe(
        self, mode: Mode, sound: Source, protocol: str,
        each: Callable[[Transcript], Awaitable[None]] | None = None,
    ) -> Transcript:
        """Transcribe a whole sound, a long one in parts; `each` gets every part as it is done.

        FormatError if it is no sound; RefusedError if it is too long.
        """
        waiting, parts = mode.parts(sound, self.limits.upload_seconds), list[Transcript]()
        while (part := await self.pools.work(next, waiting, None)) is not None:
            parts.append(part)
            if each is not None and part:
                await each(part)
        found = joined(parts)
        self.metrics.add("audio_seconds_total", protocol, found.duration)
        self.pools.count(found, protocol)
        return found


def no_grammar(mode: Mode) -> RefusedError:
    """Return the error for a mode that understands nothing."""
    return RefusedError(400, "no_grammar", f"model {mode.name!r} has no grammar and understands "
                        "nothing: name one that has, or start the server with --grammar", "model")


def _wav(samples: np.ndarray, rate: int) -> io.BytesIO:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    file.seek(0)
    return file
