"""Wyoming, as Home Assistant speaks it: speech to text, intents, conversations.

Source: the README of the ``wyoming`` package, whose classes write the events. Every event is a line
of JSON, perhaps more JSON, perhaps bytes; their lengths are checked here before they are read.

| from the client | answers |
|---|---|
| describe | info |
| transcribe, audio-start, audio-chunk …, audio-stop | transcript-start, transcript-chunk, transcript, transcript-stop |
| detect, audio-start, audio-chunk …, audio-stop | detection, for each wake word; not-detected |
| recognize | intent, or not-recognized |
| transcript | where a grammar has a world: handled, or not-handled; else as recognize |
| ping | pong |
"""  # noqa: E501

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.handle import Handled, NotHandled
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    IntentModel,
    IntentProgram,
    WakeModel,
    WakeProgram,
)
from wyoming.intent import Entity, Intent, NotRecognized
from wyoming.ping import Pong
from wyoming.wake import Detection, NotDetected

from factored_asr import __version__
from factored_asr.detectors import Detection as Found
from factored_asr.dialogue import Dialogue
from factored_asr.errors import FactoredASRError
from factored_asr.server.engine import Engine
from factored_asr.server.live import Live
from factored_asr.server.modes import Mode
from factored_asr.server.options import RefusedError
from factored_asr.server.wake import Watch

MAX_LINE = 64 << 10
MAX_DATA = 64 << 10
MAX_PAYLOAD = 1 << 20
CONVERSATIONS = 64  # remembered, the latest ones
LANGUAGES = ["en"]
OURS = Attribution("factored-asr", "")


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """Read one event; None at the end. RefusedError for what is none, or too long."""
    try:
        line = await reader.readline()
        if not line:
            return None
        head = json.loads(line)
        lengths = [head.get(name) or 0 for name in ("data_length", "payload_length")]
        data, kind = head.get("data") or {}, head["type"]
        for length, limit in zip(lengths, (MAX_DATA, MAX_PAYLOAD), strict=True):
            if not 0 <= length <= limit:
                raise RefusedError(413, "too_large", f"an event of {length} bytes, may have "
                                   f"{limit}")
        if lengths[0]:
            data = {**data, **json.loads(await reader.readexactly(lengths[0]))}
        payload = await reader.readexactly(lengths[1]) if lengths[1] else None
        if not isinstance(kind, str):
            raise TypeError("the type of an event must be text")
    except asyncio.IncompleteReadError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(400, "invalid", f"no event of Wyoming: {error}") from None
    return Event(kind, data, payload)


class Conversations:
    """Dialogues with their memories, by the name that a client gives each."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Dialogue] = OrderedDict()
        self._began = time.monotonic()
        self._turn = threading.Lock()

    def hear(self, mode: Mode, name: str, text: str) -> Any:
        """Return the outcome of an utterance in a conversation, a new one if it is not known."""
        assert mode.reader is not None and mode.world is not None
        key = mode.name, name
        with self._turn:
            dialogue = self._known.pop(key, None)
            if dialogue is None:
                dialogue = Dialogue(mode.reader.understander.grammar, mode.world)
            self._known[key] = dialogue
            if len(self._known) > CONVERSATIONS:
                self._known.popitem(last=False)
            return dialogue.hear(text, at=time.monotonic() - self._began)


def handler(engine: Engine) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    """Return what serves the connections of an engine."""
    conversations = Conversations()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(engine, conversations, reader, writer).run()

    return serve


class Connection:
    """One client."""

    def __init__(self, engine: Engine, conversations: Conversations, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter):
        self._engine, self._conversations = engine, conversations
        self._reader, self._writer = reader, writer
        self._wanted: Mapping[str, Any] = {}  # of the last transcribe event
        self._names: Any = None  # of the last detect event, until a transcribe event
        self._detects = False
        self._live: Live | Watch | None = None
        self._channels = 1
        self._texts: list[str] = []
        self._running = ExitStack()

    async def run(self) -> None:
        """Answer events until the client goes or breaks a rule."""
        limit = self._engine.limits.idle_seconds
        try:
            while event := await asyncio.wait_for(read_event(self._reader), limit):
                await self._answer(event)
        except (TimeoutError, ConnectionError):
            pass
        except FactoredASRError as error:
            refusal = RefusedError.of(error)
            self._engine.metrics.add("refused_total", refusal.code if refusal.status == 503
                                     else "invalid")
            with suppress(ConnectionError):
                await self._send(Error(str(error), refusal.code))
        except Exception:
            self._engine.metrics.add("failures_total", "wyoming")
            raise
        finally:
            self._running.close()
            self._writer.close()

    async def _answer(self, event: Event) -> None:
        """Answer one event; those of other services are passed over."""
        text = str(event.data.get("text") or "")[: self._engine.limits.text_letters]
        if event.type == "describe":
            await self._send(info(self._engine))
        elif event.type == "ping":
            await self._send(Pong(event.data.get("text")))
        elif event.type == "transcribe":
            self._wanted, self._detects = event.data, False
        elif event.type == "detect":
            self._names, self._detects = event.data.get("names"), True
        elif event.type == "audio-start":
            self._begin(event.data)
        elif event.type == "audio-chunk":
            await self._hear(event)
        elif event.type == "audio-stop":
            await self._finish()
        elif event.type == "recognize":
            await self._recognize(self._engine.grammar_mode(None), text)
        elif event.type == "transcript":
            await self._handle(text, event.data.get("context"))

    async def _send(self, event: Eventable) -> None:
        writing = async_write_event(event.event(), self._writer)
        await asyncio.wait_for(writing, self._engine.limits.idle_seconds)

    # --- speech to text ------------------------------------------------------

    def _begin(self, audio: Mapping[str, Any]) -> None:
        rate, width, channels = (audio.get(name) for name in ("rate", "width", "channels"))
        if width != 2 or not (isinstance(channels, int) and 1 <= channels <= 8):
            raise RefusedError(400, "invalid", "sound must have 2 bytes a sample and 1 to 8 "
                               f"channels, got {width} and {channels}")
        rate = rate if isinstance(rate, int) else 0
        live: Live | Watch
        if self._detects:
            live = self._engine.watch(self._names, rate)
        else:
            live = self._engine.live(self._wanted_mode(), rate, "wyoming", partial=False)
        self._running.close()
        self._running.enter_context(self._engine.session("wyoming"))
        self._live, self._channels, self._texts = live, channels, []

    def _wanted_mode(self) -> Mode:
        language = str(self._wanted.get("language") or "en")
        if not language.lower().startswith("en"):
            raise RefusedError(400, "unsupported_language", f"language must be en, got {language}")
        return self._engine.mode(self._wanted.get("name"))

    async def _hear(self, event: Event) -> None:
        if self._live is None:
            self._begin(event.data)
        assert self._live is not None
        data = event.payload or b""
        if self._channels > 1:
            frames = np.frombuffer(data[: len(data) // (2 * self._channels) * 2 * self._channels],
                                   "<i2").reshape(-1, self._channels)
            data = frames.mean(axis=1).astype("<i2").tobytes()
        if isinstance(self._live, Watch):
            await self._tell_detections(await self._live.accept(data))
            return
        heard = await self._live.accept(data)
        for found in heard.finished:
            if found.words:
                await self._tell(found.text)

    async def _tell_detections(self, found: Iterable[Found]) -> None:
        for each in found:
            await self._send(Detection(each.name, timestamp=round(1000 * each.end)))

    async def _tell(self, text: str) -> None:
        """Send what is final of a transcript."""
        if not self._texts:
            await self._send(TranscriptStart(language="en"))
        await self._send(TranscriptChunk(f"{' ' if self._texts else ''}{text}"))
        self._texts.append(text)

    async def _finish(self) -> None:
        if self._live is None:
            raise RefusedError(400, "invalid", "audio-stop without audio-start")
        if isinstance(self._live, Watch):
            await self._tell_detections(await self._live.finish())
            if not self._live.found:
                await self._send(NotDetected())
            self._live = None
            self._running.close()
            return
        found = await self._live.finish()
        if found.words or not self._texts:
            await self._tell(found.text)
        await self._send(Transcript(" ".join(self._texts), language="en"))
        await self._send(TranscriptStop())
        self._live, self._texts = None, []
        self._running.close()

    # --- intents and conversations -------------------------------------------

    async def _recognize(self, mode: Mode, text: str) -> None:
        assert mode.reader is not None
        with self._engine.session("wyoming"):
            meaning = (await self._engine.pools.work(mode.reader.read, text)).interpretation
        if meaning is None:
            await self._send(NotRecognized(text="Sorry, no command fits that."))
            return
        entities = [Entity(name, value) for name, value in meaning.slots.items()]
        await self._send(Intent(meaning.intent, entities))

    async def _handle(self, text: str, context: Any) -> None:
        mode = next((each for each in self._engine.modes.values() if each.world), None)
        if mode is None:
            await self._recognize(self._engine.grammar_mode(None), text)
            return
        name = str(context.get("conversation_id", "")) if isinstance(context, dict) else ""
        with self._engine.session("wyoming"):
            outcome = await self._engine.pools.work(self._conversations.hear, mode, name, text)
        if outcome.ask:
            await self._send(Handled(outcome.question, context))
        elif outcome.actions:
            await self._send(Handled("; ".join(outcome.actions), context))
        else:
            await self._send(NotHandled("Nothing to do.", context))


def info(engine: Engine) -> Info:
    """Return what the server offers."""
    def about(mode: Mode, what: str) -> tuple[str, Attribution, bool, str, str]:
        return mode.name, OURS, True, what, __version__

    grammars = [mode for mode in engine.modes.values() if mode.reader is not None]
    worlds = [mode for mode in grammars if mode.world is not None]
    program = "factored-asr", OURS, True, "Classic, factored speech recogniser", __version__
    asr = [AsrModel(*about(mode, "commands" if mode.reader else "dictation"), LANGUAGES)
           for mode in engine.modes.values()]
    return Info(
        asr=[AsrProgram(*program, asr, supports_transcript_streaming=True,
                        prefers_auto_gain_enabled=False, prefers_noise_reduction_enabled=False)],
        intent=[IntentProgram(*program, [IntentModel(*about(mode, "the intents of a grammar"),
                                                     LANGUAGES) for mode in grammars])]
        if grammars else [],
        handle=[HandleProgram(*program, [HandleModel(*about(mode, "a conversation"), LANGUAGES)
                                         for mode in worlds])] if worlds else [],
        wake=[WakeProgram(*program, [
            WakeModel(name, OURS, True, f"the phrase '{name}'", __version__, LANGUAGES, name)
            for name in engine.wake.names])] if engine.wake else [],
    )
