"""What no other protocol has: meanings, explanations, the web page and its login."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from factored_asr.explain import FACTORS_TO_LEAVE_OUT, ExplainOptions, Explanation
from factored_asr.explain.html import as_html
from factored_asr.explain.text import as_text
from factored_asr.server.engine import Engine, no_grammar
from factored_asr.server.guard import COOKIE, cookie_of
from factored_asr.server.modes import Mode
from factored_asr.server.options import RefusedError
from factored_asr.server.requests import Form, asked_mode, form_of

EXPLAINED_SECONDS = 60.0  # of sound; an explanation takes some times its length
FILES = {"index.html": "text/html", "style.css": "text/css", "page.js": "text/javascript",
         "microphone.js": "text/javascript", "icon.svg": "image/svg+xml"}
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
COOKIE_SECONDS = 30 * 24 * 3600


def routes(engine: Engine) -> list[Route]:
    """Return the routes of meanings and explanations, and of the page."""
    page = {name: (files("factored_asr.server") / "page" / name).read_bytes() for name in FILES}

    async def index(request: Request) -> Response:
        return Response(page["index.html"], media_type=FILES["index.html"])

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in page:
            raise RefusedError(404, "invalid", "there is no such page")
        return Response(page[name], media_type=FILES[name])

    async def icon(request: Request) -> Response:
        return Response(page["icon.svg"], media_type=FILES["icon.svg"])

    async def understand(request: Request) -> Response:
        with engine.session("understand"):
            async with form_of(request, engine) as form:
                return JSONResponse(await _understood(engine, form))

    async def explain(request: Request) -> Response:
        with engine.session("explain"):
            async with form_of(request, engine) as form:
                return await _explained(engine, form)

    async def login(request: Request) -> Response:
        async with form_of(request, engine) as form:
            return _logged_in(engine, form)

    return [Route("/", index), Route("/page/{name}", file), Route("/favicon.ico", icon),
            Route("/login", login, methods=["POST"]),
            Route("/v1/understand", understand, methods=["POST"]),
            Route("/v1/explain", explain, methods=["POST"])]


async def _understood(engine: Engine, form: Form) -> dict[str, Any]:
    """Return intent, slots and acts of a sentence or a sound; of a sound its words, too."""
    name = form.get("model")
    mode = engine.mode(name) if name else engine.grammar_mode(None)
    mode = await asked_mode(engine, mode, form)
    context = form.fields.get("context", ({},))[-1]
    if isinstance(context, str):
        try:
            context = json.loads(context)
        except (ValueError, RecursionError):
            context = None
    if not isinstance(context, dict):
        raise RefusedError(400, "invalid", "context must be a JSON object", "context")
    if mode.reader is None and not (mode.understands and form.sound is not None):
        raise no_grammar(mode)
    found: dict[str, Any] = {}
    if form.sound is not None:
        said = await engine.transcribe(mode, form.sound, "understand")
        found = {"reason": said.reason, "duration": round(said.duration, 3),
                 "words": said.to_dict()["words"]}
        text, meaning = said.text, said.interpretation
        if mode.reader is None:  # commands in dictation
            return {"text": text, "intent": meaning and meaning.intent,
                    "slots": dict(meaning.slots) if meaning else {}, **found}
    elif not (text := form.get("text")):
        raise RefusedError(400, "missing", "give a sentence in 'text', or a sound in 'file'")
    if len(text) > engine.limits.text_letters and form.sound is None:
        raise RefusedError(400, "limit", f"text is longer than {engine.limits.text_letters} "
                           "letters", "text")
    assert mode.reader is not None
    read = (await engine.pools.work(mode.reader.read, text, context)).to_dict()
    read["trace"] = [_without_folder(line, mode) for line in read["trace"]]
    return {**read, **found}


async def _explained(engine: Engine, form: Form) -> Response:
    mode = await asked_mode(engine, engine.mode(form.get("model")), form)
    format_name = form.choice("format", ("json", "html", "text"))
    without = tuple(filter(None, form.get("without").split(",")))
    for name in without:
        if name not in FACTORS_TO_LEAVE_OUT or mode.reader is None:
            raise RefusedError(400, "invalid", "without takes names of "
                               f"{', '.join(FACTORS_TO_LEAVE_OUT)}, and needs a grammar", "without")
    sound = form.whole_sound()
    explanation = await engine.pools.work(_explanation, mode, sound, without)
    if format_name == "html":
        return _page(_without_folder(as_html(explanation, "your recording"), mode))
    text = as_text(explanation) if format_name == "text" else explanation.to_json()
    kind = "text/plain" if format_name == "text" else "application/json"
    return PlainTextResponse(_without_folder(text, mode) + "\n", media_type=kind)


def _without_folder(text: str, mode: Mode) -> str:
    """Return a text without the folder of the grammar, which is no client's business."""
    recipe = mode.recognizer and mode.recognizer.recipe
    if not recipe or not isinstance(recipe.grammar, Path):
        return text
    return text.replace(f"{recipe.grammar.parent}{os.sep}", "")


def _explanation(mode: Mode, sound: Any, without: tuple[str, ...]) -> Explanation:
    assert mode.recognizer is not None
    samples = mode.samples(sound, EXPLAINED_SECONDS)
    return mode.recognizer.explain(samples, sample_rate=mode.rate,
                                   options=ExplainOptions(without=without))


def _page(html: str) -> Response:
    """Return an explanation with a policy that runs its own script alone."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in INLINE_SCRIPT.findall(html)
    )
    policy = ("default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
              f"script-src {hashes or chr(39) + 'none' + chr(39)}; base-uri 'none'; "
              "frame-ancestors 'none'")
    return HTMLResponse(html, headers={"content-security-policy": policy})


def _logged_in(engine: Engine, form: Form) -> Response:
    token = engine.options.token
    if token and not hmac.compare_digest(form.get("token").encode(), token.encode()):
        raise RefusedError(401, "unauthorized", "this is not the token", "token")
    answer = Response(status_code=204)
    if token:
        answer.set_cookie(COOKIE, cookie_of(token), max_age=COOKIE_SECONDS, httponly=True,
                          samesite="strict")
    return answer
