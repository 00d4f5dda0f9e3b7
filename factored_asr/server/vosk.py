"""WebSocket as Vosk's server speaks it: binary sound in, a JSON answer for every message.

Source: the protocol of vosk-server (``websocket/``). Its messages::

    {"config": {"sample_rate": 16000, "words": true, "max_alternatives": 0,
                "phrase_list": ["turn on", "turn off"]}}           no answer
    bytes: 16-bit samples, mono, little-endian                      {"partial": …} or a result
    {"reset": 1}                                                    a result
    {"eof": 1}                                                      a result; then it closes

``model`` in the config names one of the server's models; `add_words`, `hotwords`, `lists` and
`prompt` say what is expected (see `asked`). With ``"details": true`` results also hold
`reason`, `confidence` and `interpretation` of the transcript, whether or not there are words. Times
count from the start of the stream. A config begins a new stream.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from factored_asr.batch.cutting import join
from factored_asr.errors import FactoredASRError
from factored_asr.results.transcript import Transcript, Word
from factored_asr.server.asked import Asked
from factored_asr.server.engine import Engine
from factored_asr.server.live import Heard, Live
from factored_asr.server.options import Limits, RefusedError

MAX_ALTERNATIVES = 20


@dataclass(frozen=True)
class Config:
    """What a client asked for."""

    rate: int = 16_000
    words: bool = False
    alternatives: int = 0
    details: bool = False
    model: str = ""
    phrases: Any = None
    asked: Asked = Asked()

    @staticmethod
    def of(text: str, before: Config, limits: Limits) -> Config:
        """Read a config message; what it does not name stays as before."""
        try:
            given = json.loads(text)["config"]
            rate = float(given.get("sample_rate", before.rate))
            alternatives = int(given.get("max_alternatives", before.alternatives))
            if not (rate.is_integer() and 0 <= alternatives <= MAX_ALTERNATIVES):
                raise ValueError("sample_rate must be a whole number, max_alternatives lie in 0 to "
                                 f"{MAX_ALTERNATIVES}")
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise RefusedError(400, "invalid", f"config: {error}") from None
        phrases = given.get("phrase_list", before.phrases)
        if isinstance(phrases, str):
            with suppress(ValueError, RecursionError):
                phrases = json.loads(phrases)
        return Config(int(rate), bool(given.get("words", before.words)), alternatives,
                      bool(given.get("details", before.details)),
                      str(given.get("model", before.model)), phrases,
                      Asked.of(given, limits, before.asked))


def routes(engine: Engine) -> list[WebSocketRoute]:
    """Return the routes of Vosk's protocol."""

    async def serve(socket: WebSocket) -> None:
        await Connection(engine, socket).run()

    return [WebSocketRoute("/", serve), WebSocketRoute("/vosk", serve)]


class Connection:
    """One client."""

    def __init__(self, engine: Engine, socket: WebSocket):
        self._engine, self._socket = engine, socket
        self._config = Config()
        self._live: Live | None = None

    async def run(self) -> None:
        """Answer the client until it goes, says that it is done, or breaks a rule."""
        try:
            with self._engine.session("vosk"):
                await self._socket.accept()
                while await self._answer(await self._message()):
                    pass
                await self._socket.close()
        except (WebSocketDisconnect, asyncio.CancelledError):
            pass
        except FactoredASRError as error:
            await self._refuse(error)
        except Exception:
            self._engine.metrics.add("failures_total", "vosk")
            await self._refuse(FactoredASRError("the server failed"), 1011)
            raise

    async def _refuse(self, error: FactoredASRError, code: int = 1008) -> None:
        """Say what is wrong, and close: before the connection is accepted, by an HTTP status."""
        if isinstance(error, RefusedError) and error.status == 503:
            code = 1013
        self._engine.metrics.add("refused_total", getattr(error, "code", "invalid")
                                 if code == 1013 else "invalid")
        with suppress(RuntimeError, WebSocketDisconnect):
            if self._socket.application_state.name == "CONNECTING":
                from starlette.responses import JSONResponse

                await self._socket.send_denial_response(JSONResponse(
                    {"error": str(error)}, getattr(error, "status", 400)))
                return
            await self._socket.send_text(json.dumps({"error": str(error)}))
            await self._socket.close(code, str(error)[:100])

    async def _message(self) -> str | bytes:
        limit = self._engine.limits.idle_seconds
        try:
            message = await asyncio.wait_for(self._socket.receive(), limit)
        except TimeoutError:
            raise RefusedError(408, "limit", f"no message for {limit:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        return message.get("bytes") or b"" if text is None else str(text)

    async def _answer(self, message: str | bytes) -> bool:
        """Answer one message; False once the client is done."""
        if isinstance(message, bytes):
            heard = await (await self._stream()).accept(message)
            await self._send(self._heard(heard))
            return True
        kind = _kind(message)
        if kind == "config":
            self._config = Config.of(message, self._config, self._engine.limits)
            self._live = None
            await self._stream()  # says now what is wrong with a phrase list
            return True
        await self._send(self._result(await (await self._stream()).finish()))
        return kind != "eof"

    async def _stream(self) -> Live:
        if self._live is None:
            config = self._config
            mode = self._engine.mode(config.model)
            if config.phrases:
                mode = await self._engine.phrase_mode(config.phrases)
            mode = await self._engine.asked_mode(mode, config.asked)
            self._live = self._engine.live(mode, config.rate, "vosk")
        return self._live

    async def _send(self, answer: dict[str, Any]) -> None:
        limit = self._engine.limits.idle_seconds
        try:  # a client that does not read
            await asyncio.wait_for(self._socket.send_text(json.dumps(answer)), limit)
        except TimeoutError:
            raise WebSocketDisconnect(1006) from None

    def _heard(self, heard: Heard) -> dict[str, Any]:
        if not heard.finished:
            return {"partial": heard.partial}
        if len(heard.finished) == 1:
            return self._result(heard.finished[0])
        return self._result(join(heard.finished, sum(each.duration for each in heard.finished)))

    def _result(self, found: Transcript) -> dict[str, Any]:
        config = self._config
        if config.alternatives:
            return {"alternatives": _alternatives(found, config)}
        answer: dict[str, Any] = {}
        if config.words and found.words:
            answer["result"] = [_word(word) for word in found.words]
        answer["text"] = found.text
        if config.details:
            meaning = found.interpretation
            answer |= {"reason": found.reason, "confidence": found.confidence,
                       "interpretation": None if meaning is None else meaning.to_dict()}
        return answer


def _kind(text: str) -> str:
    """Return what a text message asks for: config, eof or reset; RefusedError if nothing known."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError(400, "invalid", "a text message must be JSON; sound is binary") from None
    for kind in ("config", "eof", "reset"):
        if isinstance(content, dict) and kind in content:
            return kind
    raise RefusedError(400, "invalid", "a text message must hold config, eof or reset")


def _word(word: Word) -> dict[str, Any]:
    plain: dict[str, Any] = {"word": word.text, "start": round(word.start, 3),
                             "end": round(word.end, 3)}
    return plain if word.confidence is None else {"conf": round(word.confidence, 4)} | plain


def _alternatives(found: Transcript, config: Config) -> list[dict[str, Any]]:
    if not found.words:
        return [{"text": "", "confidence": 0.0}]
    if len(found.parts) > 1 or found.lattice is None or found.lattice.n_nodes == 0:
        texts = [(found.words, 0.0)]
    else:
        best = found.nbest(config.alternatives)
        texts = [(each.words, -each.cost) for each in best]
    start = found.start  # the lattice counts from the start of the utterance
    return [
        {"text": " ".join(word.text for word in words), "confidence": round(score, 4)}
        | ({"result": [{"word": word.text, "start": round(word.start + start, 3),
                        "end": round(word.end + start, 3)} for word in words]}
           if config.words else {})
        for words, score in texts
    ]
