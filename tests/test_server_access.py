"""Who is let in, how much is accepted, and how a server stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from support.server import GRAMMAR, Server, get, running, send, wait_until

from factored_asr.errors import OptionError
from factored_asr.server import Limits, ServerOptions
from factored_asr.server.metrics import PROTOCOLS, Metrics

TOKEN = "open sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "token").write_text(TOKEN + "\n")
    with running("--token-file", str(folder / "token"), "--max-upload", "1", "--max-sessions", "2",
                 "--max-stream", "5", "--idle", "4", "--drain", "3", "--workers", "2",
                 "--wyoming-socket", str(folder / "wyoming")) as found:
        yield found


def raw(server: Server, request: bytes, wait: float = 10.0) -> bytes:
    """Send bytes; return what comes before the connection is closed or nothing more comes."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
            answer += more
        return answer


def test_the_token_is_asked_for_before_anything_is_read(server: Server) -> None:
    """The body of a gigabyte never comes, and the answer does not wait for it."""
    for given in ("", "Authorization: Bearer wrong\r\n", "Authorization: Basic b3Blbg==\r\n",
                  "Cookie: factored_asr=0000\r\n"):
        answer = raw(server, f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n{given}"
                     "Content-Length: 1000000000\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 401 ")
    for path in ("/v1/models", "/metrics", "/v1/nothing"):
        assert get(server.url + path)[0] == 401
    assert get(server.url + "/v1/models", **BEARER)[0] == 200
    assert get(server.url + "/health") == (200, '{"status":"ok"}')


def test_websockets_need_the_token(server: Server) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus, match="401"), connect(server.websocket):
        pass
    with connect(server.websocket, additional_headers=BEARER) as websocket:
        websocket.send('{"eof": 1}')
        assert json.loads(websocket.recv(timeout=20)) == {"text": ""}


def test_too_large_is_refused_before_it_is_stored(server: Server) -> None:
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer open sesame"
    kind = "\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    answer = raw(server, f"{head}{kind}Content-Length: 1048577\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    chunk = b"80000\r\n" + b"a" * 0x80000 + b"\r\n"
    begin = f"{head}{kind}Transfer-Encoding: chunked\r\n\r\n".encode()
    answer = raw(server, begin + b"%x\r\n" % len(part) + part + b"\r\n" + chunk * 2)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_stops_coming_is_given_up(server: Server) -> None:
    answer = raw(server, b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: "
                 b"Bearer open sesame\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                 b"Content-Length: 1000\r\n\r\n--x", wait=20)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("origin", "host", "status"), [
    ("http://evil.example", "localhost:1", 403), ("null", "localhost:1", 403),
    ("http://evil.example:1", "evil.example:1", 403),  # a name that was bound to this machine
    ("http://localhost:1", "localhost:1", 200), ("http://house.local:1", "house.local:1", 200),
])
def test_only_its_own_pages_may_use_it(server: Server, origin: str, host: str,
                                       status: int) -> None:
    code, _ = get(server.url + "/v1/models", Origin=origin, Host=host, **BEARER)
    assert code == status


def test_there_is_no_cross_origin_sharing(server: Server) -> None:
    request = urllib.request.Request(server.url + "/v1/models", headers=BEARER)
    with urllib.request.urlopen(request, timeout=20) as answer:
        names = {name.lower() for name in answer.headers}
        policy = answer.headers["Content-Security-Policy"]
    assert not any(name.startswith("access-control") for name in names)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "server" not in names


def test_sessions_streams_and_silence_are_limited(server: Server) -> None:
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    with connect(server.websocket, additional_headers=BEARER) as first:
        with connect(server.websocket, additional_headers=BEARER):
            with pytest.raises(InvalidStatus, match="503"), connect(
                    server.websocket, additional_headers=BEARER):
                pass
        for _ in range(6):  # seconds: one more than allowed
            first.send(bytes(32000))
        with pytest.raises(ConnectionClosed):
            while "longer than 5 s" not in (text := first.recv(timeout=20)):
                assert "partial" in text or "text" in text
            first.recv(timeout=20)
    began = time.monotonic()
    with connect(server.websocket, additional_headers=BEARER) as idle:
        assert "no message for 4 s" in idle.recv(timeout=20)
    assert 3 < time.monotonic() - began < 15
    with connect(server.websocket, additional_headers=BEARER) as large:
        with pytest.raises(ConnectionClosed):
            large.send(bytes(300_000))
            large.recv(timeout=20)
        assert large.close_code == 1009


def test_metrics_are_prometheus(server: Server) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    text = get(server.url + "/metrics", **BEARER)[1]
    found = {sample.name: sample for family in parser.text_string_to_metric_families(text)
             for sample in family.samples}
    assert found["factored_asr_refused_total"].value >= 0
    assert found["factored_asr_block_seconds_count"].value > 0
    assert "factored_asr_sessions" in found


def test_workers_share_connections(server: Server) -> None:
    host, port = server.url.removeprefix("http://").rsplit(":", 1)

    def of_each() -> list[int]:
        return [sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == int(port)
                    for each in psutil.Process(pid).net_connections())
                for pid in server.workers()]  # fmt: skip

    wait_until(lambda: sum(of_each()) == 0, 40)  # those of other tests
    with contextlib.ExitStack() as opened:
        for _ in range(12):
            opened.enter_context(socket.create_connection((host, int(port)), timeout=10))
        wait_until(lambda: sum(of_each()) == 12, 10)
        assert min(of_each()) >= 4


def test_a_killed_worker_is_replaced(server: Server) -> None:
    """Its WebSockets get a close frame; the others go on; a new one serves soon."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    before = server.workers()
    assert len(before) == 2
    with connect(server.websocket, additional_headers=BEARER) as lost:
        lost.send('{"config": {"sample_rate": 16000}}')
        lost.send(bytes(3200 * 4))
        lost.recv(timeout=20)
        began = time.monotonic()
        for pid in before:  # one after the other: a server without any worker recovers as well
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            lost.recv(timeout=10)
        assert lost.close_code == 1012
    wait_until(lambda: get(server.url + "/v1/models", **BEARER)[0] == 200, 10)
    assert time.monotonic() - began < 10  # the aim is 5 s on a machine that does nothing else
    wait_until(lambda: len(set(server.workers()) - set(before)) == 2, 10)
    text = get(server.url + "/metrics", **BEARER)[1]
    assert "factored_asr_worker_starts_total 2" in text
    assert 'factored_asr_sessions{protocol="vosk"} 0' in text


def test_it_stops_after_what_runs(server: Server, audio_dir: Path) -> None:
    """SIGTERM: streams that run may end, new requests get 503, and it exits in time."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    data = (audio_dir / "music_stop.wav").read_bytes()[44:]
    with connect(server.websocket, additional_headers=BEARER) as running_one:
        running_one.send(data[:16000])
        running_one.recv(timeout=20)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        # Each of the workers notes the signal by itself.
        wait_until(lambda: {get(server.url + "/ready")[0] for _ in range(8)} == {503}, 10)
        assert send(urllib.request.Request(server.url + "/v1/models", headers=BEARER))[0] == 503
        with pytest.raises(InvalidStatus, match="503"), connect(
                server.websocket, additional_headers=BEARER):
            pass
        running_one.send('{"eof": 1}')
        assert "text" in json.loads(running_one.recv(timeout=20))
    assert server.process.wait(timeout=20) == 0
    assert time.monotonic() - began < 3 + 3 + 4  # drain, the documented 3 s, a busy machine


# --- without a server --------------------------------------------------------


def test_options_say_what_is_wrong() -> None:
    with pytest.raises(OptionError, match="idle_seconds must be above 0, got 0"):
        Limits(idle_seconds=0)
    with pytest.raises(OptionError, match="port must lie in 0..65535, got 70000"):
        ServerOptions(port=70000)
    with pytest.raises(OptionError, match="workers must be at least 1"):
        ServerOptions(workers=0)


def test_an_address_that_is_taken() -> None:
    from factored_asr.server.supervisor import bind

    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        with pytest.raises(OptionError, match="cannot listen on localhost port"):
            bind(ServerOptions(port=taken.getsockname()[1]))


def test_counters_add_up_over_threads_and_workers() -> None:
    metrics = Metrics(2)

    def count() -> None:
        for _ in range(1000):
            metrics.add("requests_total", "vosk")
            metrics.observe("block_seconds", 0.3)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    metrics.add("sessions", PROTOCOLS[0], 3)
    metrics.fork(1)
    metrics.add("sessions", PROTOCOLS[0], 2)
    assert metrics.total("sessions") == 5
    assert metrics.total("requests_total", "vosk") == 4000
    assert metrics.surplus("connections", 5) == 5  # the other one has none
    metrics.fork(0)  # what the first worker ran is gone
    assert metrics.surplus("connections", 0) == 0
    assert metrics.surplus("connections", 7) == 2
    assert metrics.total("sessions") == 2
    lines = metrics.text().splitlines()
    assert 'factored_asr_block_seconds_bucket{le="0.2"} 0' in lines
    assert 'factored_asr_block_seconds_bucket{le="0.3"} 4000' in lines
    assert "factored_asr_block_seconds_count 4000" in lines


@pytest.mark.parametrize("grammar", [str(GRAMMAR), None])
def test_a_server_that_starts_recognises_words(monkeypatch: pytest.MonkeyPatch,
                                               grammar: str | None) -> None:
    """All that runs for words has run before it listens: the sound for it is heard as some."""
    from factored_asr import Recognizer
    from factored_asr.recognizer.stream import Stream
    from factored_asr.server import Mode, warming

    found, finish = [], Stream.finish
    monkeypatch.setattr(Stream, "finish", lambda self: found.append(finish(self)))
    for model in ("en-us", "en-us-network") if grammar else ("en-us-network",):
        mode = Mode.of("x", Recognizer.load(model, grammar=grammar))
        warming.warm_up(mode, warming.babble(mode.rate))
    assert found and all(said.words for said in found)


def test_early_words_are_looked_for_while_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live sound that waited for its thread leaves no time for more than what is needed."""
    from factored_asr.server import live, pools

    asked, clock, gate = [], [0.0], threading.Event()
    monkeypatch.setattr(pools, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    class Stream:
        def accept(self, samples: np.ndarray) -> bool:
            return False

        def partial(self, *, early: bool) -> str:
            asked.append(early)
            return "word"

    async def run() -> None:
        made = pools.Pools(1, Metrics())
        mode: Any = SimpleNamespace(stream=Stream, rate=16000)
        stream, quiet = (live.Live(made, mode, 16000, "vosk", 60.0, partial=partial)
                         for partial in (True, False))
        assert (await stream.accept(bytes(6400))).partial == "word"
        assert (await quiet.accept(bytes(6400))).partial == ""
        busy = asyncio.create_task(made.decode(gate.wait))
        waits = asyncio.create_task(stream.accept(bytes(6400)))
        await asyncio.sleep(0)
        clock[0] = 1.0
        gate.set()
        await asyncio.gather(busy, waits)
        await stream.accept(bytes(6400))

    asyncio.run(run())
    assert asked == [True, False, True]
