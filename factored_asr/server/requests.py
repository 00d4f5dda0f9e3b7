"""Requests over HTTP: forms and JSON read into memory, within the limits, never into files."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from factored_asr.server.asked import Asked
from factored_asr.server.engine import Engine
from factored_asr.server.modes import Mode
from factored_asr.server.options import RefusedError

MAX_FIELDS = 40
MAX_FIELD_BYTES = 64 << 10


@dataclass(frozen=True)
class Form:
    """The fields of a request, and the sound in it."""

    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Every field with its values; brackets at the end of its name are left out."""
    sound: io.BytesIO | None = None
    """The bytes of the field ``file``; its name is not looked at."""

    def get(self, name: str, default: str = "") -> str:
        """Return a field as text, the last one of its name; RefusedError if it is none."""
        value = self.fields.get(name, (default,))[-1]
        if not isinstance(value, str | bool | int | float):
            raise RefusedError(400, "invalid", f"{name} must be text, got {value!r:.40}", name)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return a field that is one of these, by default the first; RefusedError for another."""
        value = self.get(name, choices[0])
        if value not in choices:
            raise RefusedError(400, f"unsupported_{name}", f"{name} must be one of "
                               f"{', '.join(choices)}, got {value[:40]!r}", name)
        return value

    def whole_sound(self) -> io.BytesIO:
        """Return the sound; RefusedError if there is none."""
        if self.sound is None:
            raise RefusedError(400, "missing", "the form has no field 'file' with a sound", "file")
        return self.sound


@asynccontextmanager
async def form_of(request: Request, engine: Engine) -> AsyncIterator[Form]:
    """Read a form (multipart) or a JSON object; hold its memory while the block runs."""
    length = request.headers.get("content-length")
    with engine.memory(int(length) if length else engine.limits.upload_bytes):
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            yield await _multipart(request, engine.limits.upload_bytes)
        elif kind == "application/json":
            yield await _json(request)
        else:
            raise RefusedError(415, "invalid", "the body must be multipart/form-data or "
                               f"application/json, got {kind[:40]!r}")


async def asked_mode(engine: Engine, mode: Mode, form: Form) -> Mode:
    """Return a mode that expects what the fields of a form ask for; RefusedError if it cannot."""
    given = {name: values[-1] for name, values in form.fields.items()}
    return await engine.asked_mode(mode, Asked.of(given, engine.limits))


async def _multipart(request: Request, limit: int) -> Form:
    parser = MultiPartParser(request.headers, request.stream(), max_files=1,
                             max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    parser.spool_max_size = limit + 1  # it stays in memory
    try:
        items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise RefusedError(400, "invalid", f"the form is broken: {error.message}") from None
    fields: dict[str, tuple[str, ...]] = {}
    sound = None
    for name, value in items:
        if isinstance(value, UploadFile):
            if name == "file":
                sound = io.BytesIO(await value.read())
            await value.close()
        else:
            plain = name.removesuffix("[]")
            fields[plain] = (*fields.get(plain, ()), value)
    return Form(fields, sound)


async def _json(request: Request) -> Form:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FIELD_BYTES:
            raise RefusedError(413, "too_large", f"JSON is larger than {MAX_FIELD_BYTES:,} bytes")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "invalid", f"the body is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise RefusedError(400, "invalid", "the body must be a JSON object")
    return Form({name: (value,) for name, value in content.items() if value is not None})
