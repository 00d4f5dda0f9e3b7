"""Words, hotwords, lists and prompts that clients ask for are those of the library."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from support.ctc_home import DOUBTFUL, written_home
from support.server import as_form, send, vosk, wav_bytes
from support.tones import say, speak

from factored_asr import Recognizer
from factored_asr.server import Engine, Mode
from factored_asr.server.asked import Asked
from factored_asr.server.options import Limits, RefusedError
from factored_asr.server.worker import Sockets, run_worker

pytestmark = pytest.mark.filterwarnings("ignore::factored_asr.lexicon.g2p.GuessWarning")
NEW = speak(["", "C", "E", "D", "", "A", "C", ""])
CALL = """
intents: {Call: {data: [{sentences: ["bad {who}"]}]}}
lists: {who: {replaceable: true, values: [dad]}}
"""
BAD_ACE = speak(["", "B", "A", "D", "", "A", "C", ""])


class Local:
    """A worker in this process, with the addresses that clients use."""

    def __init__(self, engine: Engine):
        listening = socket.create_server(("localhost", 0))
        self.url = f"http://localhost:{listening.getsockname()[1]}"
        self.websocket = self.url.replace("http", "ws")
        threading.Thread(target=run_worker, args=(engine, Sockets([listening])),
                         daemon=True).start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, graph_cache: Path) -> Iterator[Local]:
    with written_home(tmp_path_factory.mktemp("asked")) as home:
        (home / "call.yaml").write_text(CALL)
        modes = [Mode.of("dictation", Recognizer.load(home / "model")),
                 Mode.of("calls", Recognizer.load(home / "model", grammar=home / "call.yaml"))]
        yield Local(Engine(modes))


def posted(server: Local, path: str, fields: dict[str, Any], sound: np.ndarray | None = None
           ) -> tuple[int, dict[str, Any]]:
    plain = {name: value if isinstance(value, str) else json.dumps(value)
             for name, value in fields.items()}
    body, kind = as_form(plain, b"" if sound is None else wav_bytes(sound))
    if sound is None:
        body, kind = json.dumps(fields).encode(), "application/json"
    request = urllib.request.Request(server.url + path, body, {"Content-Type": kind})
    status, text = send(request)
    return status, json.loads(text)


ASKED = [
    (NEW, {"add_words": {"ced": "C E D"}}, "ced ace"),
    (NEW, {"add_words": {"ced": ["C E D", "C A D"]}, "hotwords": {"ced ace": 1}}, "ced ace"),
    (NEW, {"add_words": ["ced"]}, None),
    (DOUBTFUL, {"hotwords": {"dad": 6.0}}, "dad ace"),
    (DOUBTFUL, {"hotwords": {"bad": 6.0}}, "bad ace"),
    (DOUBTFUL, {"hotwords": {"dad": -6.0}}, "bad ace"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_every_protocol_expects_what_is_asked_for(server: Local, number: int) -> None:
    sound, asked, expected = ASKED[number]
    status, found = posted(server, "/v1/audio/transcriptions", asked, sound)
    assert status == 200 and expected in (found["text"], None)
    data = (sound * 32767).astype("<i2").tobytes()
    answers = vosk(server, data, 3200, {"sample_rate": 16000, **asked})  # type: ignore[arg-type]
    assert " ".join(filter(None, (each.get("text") for each in answers))) == found["text"]
    status, explained = posted(server, "/v1/explain", asked, sound)
    assert status == 200 and explained["text"] == found["text"]
    assert posted(server, "/v1/audio/transcriptions", {}, NEW)[1]["text"] != "ced ace"


def test_a_prompt_brings_words(server: Local) -> None:
    plain = posted(server, "/v1/audio/transcriptions", {}, NEW)[1]["text"]
    found = posted(server, "/v1/audio/transcriptions", {"prompt": "Dr. Ced, 1 ace!"}, NEW)[1]
    guess = Asked(prompt="Dr. Ced, 1 ace!")
    assert "ced" not in plain.split() and guess.names == "prompt"
    assert isinstance(found["text"], str)


def test_lists_fill_slots_and_are_read(server: Local) -> None:
    lists = {"lists": {"who": {"Ace": "a-1"}}}
    status, found = posted(server, "/v1/understand", {"model": "calls", **lists}, BAD_ACE)
    assert status == 200 and found["slots"] == {"who": "a-1"} and found["text"] == "bad ace"
    status, found = posted(server, "/v1/understand", {"text": "bad ace", "model": "calls", **lists})
    assert found["slots"] == {"who": "a-1"}
    data = (BAD_ACE * 32767).astype("<i2").tobytes()
    answer = vosk(server, data, 3200, {"model": "calls", "details": True, **lists})[-1]  # type: ignore[arg-type]
    assert answer["interpretation"]["slots"] == {"who": "a-1"}
    status, found = posted(server, "/v1/understand", {"text": "bad ace", "model": "calls"})
    assert found["intent"] is None


@pytest.mark.parametrize("after", ["", "deed"])
def test_commands_in_dictation(server: Local, after: str) -> None:
    """Grammars of the server, by name; their lists may be replaced as well."""
    sound = say("deed bad ace" if after else "bad ace", gap=0.06)
    asked = {"model": "dictation", "commands": ["calls"], "after": after,
             "lists": {"who": {"Ace": "a-1"}}}
    status, found = posted(server, "/v1/understand", asked, sound)
    assert status == 200 and found["text"] == " ".join(filter(None, [after, "bad ace"]))
    assert (found["intent"], found["slots"]) == ("Call", {"who": "a-1"})
    data = (sound * 32767).astype("<i2").tobytes()
    for commands in ("calls", '["calls"]', ["calls"]):
        config = {**asked, "commands": commands, "details": True}
        answer = vosk(server, data, 3200, config)[-1]  # type: ignore[arg-type]
        assert answer["text"] == found["text"]
        assert answer["interpretation"]["slots"] == {"who": "a-1"}
    plain = {"model": "dictation", "after": after}
    assert vosk(server, data, 3200, {**plain, "details": True})[-1]["interpretation"] is None  # type: ignore[arg-type]
    status, found = posted(server, "/v1/understand", plain, sound)
    assert status == 400 and "has no grammar" in found["error"]["message"]


@pytest.mark.parametrize("fields, says", [
    ({"add_words": {"ced": "X"}}, "phone 'X' of word 'ced'"),
    ({"add_words": {"ced": 5}}, "phones of 'ced' must be text"),
    ({"add_words": 5}, "must be a JSON object, or a list of texts"),
    ({"hotwords": {"ced": 1}}, "hotword 'ced' is not among the words"),
    ({"hotwords": {"bad": "x"}}, "bonus of hotword 'bad'"),
    ({"hotwords": {str(i): 1 for i in range(1001)}}, "hotwords has 1,001 entries, may have 1,000"),
    ({"lists": {"who": ["ace"]}}, "list 'who' cannot be replaced"),
    ({"model": "calls", "lists": {"who": "ace"}}, "must be a list of texts"),
    ({"model": "calls", "lists": {"who": ["?"]}}, "has no letters"),
    ({"model": "calls", "add_words": {"ced": "C E D"}}, "a grammar has only its own words"),
    ({"commands": "call"}, "there is no grammar 'call': there are calls"),
    ({"commands": {"calls": 5}}, "commands must be the name of a grammar, or a list of names"),
    ({"commands": 5}, "commands must be the name of a grammar, or a list of names"),
    ({"model": "calls", "commands": "calls"}, "commands can be added to dictation alone"),
    ({"commands": "calls", "after": "?"}, "the carrier phrase '?' has no letters"),
    ({"prompt": "x" * 20_001}, "prompt is longer than 20,000"),
])  # fmt: skip
def test_what_is_wrong_is_named(server: Local, fields: dict[str, Any], says: str) -> None:
    status, found = posted(server, "/v1/audio/transcriptions", fields, BAD_ACE)
    assert status == 400 and says in found["error"]["message"]
    data = (BAD_ACE * 32767).astype("<i2").tobytes()
    config = {name: value for name, value in fields.items()}
    answers = _refused(server, config, data)
    assert says in answers


def _refused(server: Local, config: dict[str, Any], data: bytes) -> str:
    from websockets.sync.client import connect

    with connect(server.websocket) as client:
        client.send(json.dumps({"config": config}))
        client.send(data)
        return str(json.loads(client.recv(timeout=60)).get("error"))


def test_phrases_go_alone() -> None:
    asked = Asked.of({"hotwords": ["a"]}, Limits(), Asked(prompt="b"))
    assert asked == Asked(hotwords='{"a": null}', prompt="b") and bool(asked)
    with pytest.raises(RefusedError, match="goes without hotwords, prompt"):
        Mode("phrases", None).with_asked(asked)  # type: ignore[arg-type]
    assert not Asked.of({"hotwords": {}, "lists": "{}"}, Limits())
