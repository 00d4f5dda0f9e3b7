"""HTTP as OpenAI's clients speak it: transcriptions of uploads, whole or as events.

Source: OpenAI API reference, "Create transcription" and "List models".
"""

from __future__ import annotations

import asyncio
import json
import math
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from factored_asr.errors import FactoredASRError
from factored_asr.results.formats import cues, write
from factored_asr.results.transcript import Transcript, Word
from factored_asr.server.engine import Engine
from factored_asr.server.guard import error_body
from factored_asr.server.modes import Mode
from factored_asr.server.options import RefusedError
from factored_asr.server.requests import Form, asked_mode, form_of

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")
LANGUAGES = ("en", "eng", "english", "en-us", "en-gb")


def routes(engine: Engine) -> list[Route]:
    """Return the routes of OpenAI's API."""

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(m) for m in engine.modes.values()]})

    async def model(request: Request) -> Response:
        return JSONResponse(_model(engine.mode(request.path_params["name"])))

    async def transcriptions(request: Request) -> Response:
        return await _transcriptions(engine, request)

    return [Route("/v1/models", models), Route("/v1/models/{name}", model),
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"])]


def _model(mode: Mode) -> dict[str, Any]:
    return {"id": mode.name, "object": "model", "created": 0, "owned_by": "factored-asr",
            "kind": "dictation" if mode.reader is None else "grammar"}


async def _transcriptions(engine: Engine, request: Request) -> Response:
    with engine.session("openai"):
        async with form_of(request, engine) as form:
            format_name = form.choice("response_format", FORMATS)
            mode = await asked_mode(engine, engine.mode(form.get("model")), form)
            _check_language(form)
            granularities = form.fields.get("timestamp_granularities", ("segment",))
            for each in granularities:
                if each not in GRANULARITIES:
                    raise RefusedError(400, "invalid", "timestamp_granularities must be of "
                                       f"{', '.join(GRANULARITIES)}, got {str(each)[:40]!r}",
                                       "timestamp_granularities")
            sound = form.whole_sound()
            if form.get("stream", "false") != "true":
                found = await engine.transcribe(mode, sound, "openai")
                return _response(found, format_name, granularities)
    return _streamed(engine, mode, form)


def _check_language(form: Form) -> None:
    language = form.get("language", "en").lower().replace("_", "-")
    if language not in LANGUAGES:
        raise RefusedError(400, "unsupported_language",
                           f"language must be en, got {language[:40]!r}", "language")


def _response(found: Transcript, format_name: str, granularities: tuple[str, ...]) -> Response:
    if format_name == "json":
        return JSONResponse({"text": found.text})
    if format_name == "verbose_json":
        return JSONResponse(verbose(found, granularities))
    return PlainTextResponse(write(found, format_name) + "\n")


def verbose(found: Transcript, granularities: tuple[str, ...]) -> dict[str, Any]:
    """Return a transcript as OpenAI's verbose JSON, with segments as in subtitles.

    `avg_logprob` is the mean of the logarithms of the words' confidences, 0 if there are none.
    There are no tokens, and no sound without speech has a segment. Words have a field more than
    OpenAI's: `confidence`, a probability or null.
    """
    plain: dict[str, Any] = {"task": "transcribe", "language": "english", "text": found.text,
                             "duration": round(found.duration, 3)}
    if "segment" in granularities:
        plain["segments"] = [_segment(i, cue) for i, cue in enumerate(cues(found.words))]
    if "word" in granularities:
        plain["words"] = [{"word": word.text, "start": round(word.start, 3),
                           "end": round(word.end, 3), "confidence": word.confidence}
                          for word in found.words]
    return plain


def _segment(number: int, words: Sequence[Word]) -> dict[str, Any]:
    text = " ".join(word.text for word in words)
    logs = [math.log(max(word.confidence, 1e-6)) for word in words if word.confidence is not None]
    return {
        "id": number, "seek": 0, "start": round(words[0].start, 3), "end": round(words[-1].end, 3),
        "text": text, "tokens": [], "temperature": 0.0,
        "avg_logprob": round(sum(logs) / len(logs), 4) if logs else 0.0,
        "compression_ratio": round(len(text) / len(zlib.compress(text.encode())), 4),
        "no_speech_prob": 0.0,
    }


def _streamed(engine: Engine, mode: Mode, form: Form) -> Response:
    """Return the events of a transcription: a delta for each part, then the whole text."""
    sound = form.whole_sound()

    async def events() -> AsyncIterator[str]:
        parts: asyncio.Queue[Transcript | None] = asyncio.Queue(maxsize=4)

        async def run() -> Transcript:
            try:
                return await engine.transcribe(mode, sound, "openai", parts.put)
            finally:
                await parts.put(None)

        with engine.session("openai"), engine.memory(sound.getbuffer().nbytes):
            task, n_parts = asyncio.ensure_future(run()), 0
            try:
                while (part := await parts.get()) is not None:
                    yield _event("transcript.text.delta",
                                 delta=f"{' ' if n_parts else ''}{part.text}")
                    n_parts += 1
                yield _event("transcript.text.done", text=(await task).text)
            except FactoredASRError as error:
                yield f"data: {json.dumps(error_body(RefusedError.of(error)))}\n\n"
            finally:
                task.cancel()

    return StreamingResponse(events(), media_type="text/event-stream")


def _event(kind: str, delta: str | None = None, text: str | None = None) -> str:
    fields = {"type": kind, "delta": delta, "text": text}
    return "data: " + json.dumps({k: v for k, v in fields.items() if v is not None}) + "\n\n"
