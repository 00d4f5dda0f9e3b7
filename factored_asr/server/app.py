"""The web application: all HTTP and WebSocket routes of one engine."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from factored_asr.errors import FactoredASRError
from factored_asr.server import openai, own, vosk
from factored_asr.server.engine import Engine
from factored_asr.server.guard import Guard, error_body, reason
from factored_asr.server.options import RefusedError

log = logging.getLogger("factored_asr.server")
Handler = Callable[[Request, Exception], Awaitable[Response]]


def application(engine: Engine) -> ASGIApp:
    """Return the ASGI application of an engine."""
    routes = [*_state(engine), *openai.routes(engine), *own.routes(engine),
              *vosk.routes(engine)]
    handlers = {Exception: _failed(engine), FactoredASRError: _refused(engine),
                HTTPException: _unknown, ClientDisconnect: _gone}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), engine)


def _state(engine: Engine) -> list[Route]:
    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        if engine.draining:
            return JSONResponse({"status": "stopping"}, 503)
        return JSONResponse({"status": "ready", "models": list(engine.modes)})

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(engine.metrics.text(), media_type="text/plain; version=0.0.4")

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]


def _refused(engine: Engine) -> Handler:
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, FactoredASRError)
        refusal = RefusedError.of(error)
        engine.metrics.add("refused_total", reason(refusal))
        return JSONResponse(error_body(refusal), refusal.status)

    return refused


def _failed(engine: Engine) -> Handler:
    async def failed(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        engine.metrics.add("failures_total", "openai")
        return JSONResponse(error_body(RefusedError(500, "failed", "the server failed")), 500)

    return failed


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    known = "there is no such page" if status == 404 else str(getattr(error, "detail", error))
    return JSONResponse(error_body(RefusedError(status, "invalid", known)), status)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)
