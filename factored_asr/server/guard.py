"""The door: tokens, origins, sizes and security headers, before a request is looked at."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from h11 import LocalProtocolError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from factored_asr.server.engine import Engine
from factored_asr.server.options import RefusedError

COOKIE = "factored_asr"
OPEN = ("/health", "/ready", "/login", "/favicon.ico")
"""Paths without a token, besides the page and its files."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src blob:; connect-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin", "cache-control": "no-store",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}


def cookie_of(token: str) -> str:
    """Return the cookie of browsers that gave the token: not the token itself."""
    return hmac.new(token.encode(), b"factored_asr cookie", hashlib.sha256).hexdigest()


def error_body(refusal: RefusedError) -> dict[str, Any]:
    """Return a refusal in OpenAI's error format."""
    kind = "invalid_request_error" if refusal.status < 500 else "server_error"
    return {"error": {"message": str(refusal), "type": kind, "param": refusal.param,
                      "code": refusal.code}}


class Guard:
    """An ASGI application around another: what it refuses is never read.

    A client without the right token gets 401, a page of another origin 403, a body larger than
    the limit 413. Everyone 503 once the server is about to stop.
    """

    def __init__(self, app: ASGIApp, engine: Engine):
        self._app, self._engine = app, engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RefusedError as refusal:
            self._engine.metrics.add("refused_total", reason(refusal))
            await _refuse(scope, send, refusal)
            return
        if scope["type"] == "http":
            receive = self._counted(receive)
        await self._app(scope, receive, _with_headers(send))

    def _check(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and (
            path == "/" or path.startswith("/page/")
        )
        if self._engine.options.token and not (page or path in OPEN):
            self._check_token(headers)
        if origin := headers.get("origin"):
            self._check_origin(origin, headers.get("host", ""), scope)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._engine.limits.upload_bytes:
            raise too_large(self._engine.limits.upload_bytes)
        if self._engine.draining and path not in ("/health", "/ready", "/metrics"):
            raise RefusedError(503, "draining", "the server is about to stop")

    def _check_token(self, headers: Headers) -> None:
        token = self._engine.options.token
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(),
                                                              token.encode()):
            return
        for pair in headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and hmac.compare_digest(value.encode(), cookie_of(token).encode()):
                return
        raise RefusedError(401, "unauthorized",
                           "this server asks for a token: Authorization: Bearer …")

    def _check_origin(self, origin: str, host: str, scope: Scope) -> None:
        """A browser says whose page asks: only the server's own, under a name that is no trick."""
        asking = urlsplit(origin)
        same = asking.netloc.lower() == host.lower() and is_local_name(asking.hostname or "")
        if not (same or origin in self._engine.options.origins):
            raise RefusedError(403, "origin", f"pages of {origin} may not use this server: start "
                               "it with --origin if they are yours")

    def _counted(self, receive: Receive) -> Receive:
        """Refuse a body that becomes too large, or that stops coming."""
        n_bytes, whole, limits = 0, False, self._engine.limits

        async def counted() -> Message:
            nonlocal n_bytes, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), limits.idle_seconds)
            except TimeoutError:
                raise RefusedError(408, "limit", "no more of the request came for "
                                   f"{limits.idle_seconds:g} s") from None
            n_bytes += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if n_bytes > limits.upload_bytes:
                raise too_large(limits.upload_bytes)
            return message

        return counted


def too_large(limit: int) -> RefusedError:
    """Return the refusal of a body that is larger than a limit in bytes."""
    return RefusedError(413, "too_large", f"the request is larger than {limit:,} bytes")


def is_local_name(host: str) -> bool:
    """Return True for addresses, and names that no stranger can register.

    Examples
    --------
    >>> [is_local_name(name) for name in ("::1", "localhost", "house.local", "evil.example")]
    [True, True, True, False]
    """
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".home.arpa", ".internal"))


def reason(refusal: RefusedError) -> str:
    """Return under which reason a refusal is counted."""
    known = ("unauthorized", "too_large", "busy", "draining", "origin", "limit")
    return refusal.code if refusal.code in known else "invalid"


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            policy = {"content-security-policy": PAGE_POLICY}
            given += [(name.encode(), value.encode()) for name, value in (HEADERS | policy).items()
                      if name.encode() not in names]
            message = {**message, "headers": given}
        with suppress(LocalProtocolError):  # a client that broke HTTP has had its answer
            await send(message)

    return sending


async def _refuse(scope: Scope, send: Send, refusal: RefusedError) -> None:
    body = json.dumps(error_body(refusal)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"),
               (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.status == 503:
        headers.append((b"retry-after", b"5"))
    kind = "http" if scope["type"] == "http" else "websocket.http"
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
