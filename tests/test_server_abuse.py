"""Bad clients do no harm: the good ones get what they asked for, and nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from support.abuse import abuse
from support.server import Server, get, running, wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--wyoming-port", "0") as found:
        yield found


def test_bad_clients_do_no_harm(server: Server, audio_dir: Path) -> None:
    """60 sessions here; tests/bench/server_abuse.py runs thousands, and watches the memory."""
    workers = server.workers()
    seen = abuse(server.url, server.wyoming, audio_dir / "music_stop.wav", "stop the music", 60, 20)
    assert seen.wrong == []
    assert seen.kinds["valid stream"] == seen.kinds["valid upload"] == 6
    assert server.workers() == workers  # none has died
    wait_until(lambda: re.search(r'sessions\{protocol="vosk"\} 0\n',
                                 get(server.url + "/metrics")[1]))
    metrics = get(server.url + "/metrics")[1]
    assert not re.search(r"failures_total\{[^}]*\} [1-9]", metrics)
    for protocol in ("openai", "wyoming"):
        assert f'factored_asr_sessions{{protocol="{protocol}"}} 0\n' in metrics
