"""A server in a process of its own, as users start it, and simple clients."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

ROOT = Path(__file__).parents[2]
GRAMMAR = str(ROOT / "lm" / "smart_home.yaml")
MODEL = "en-us"  # with which the tests of the server compare
START_SECONDS = 240.0  # with kernels to compile on a busy machine


@dataclass
class Server:
    """A running `factored-asr serve`."""

    process: subprocess.Popen[str]
    url: str
    wyoming: str = ""
    lines: list[str] = field(default_factory=list)
    """What it said."""

    @property
    def websocket(self) -> str:
        return self.url.replace("http://", "ws://")

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self) -> int:
        """Stop it as a service manager does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running(*arguments: str, grammar: str = GRAMMAR, model: str = MODEL) -> Iterator[Server]:
    """Start a server on free ports; stop it at the end."""
    command = [sys.executable, "-m", "factored_asr", "serve", "--model", model, "--port", "0",
               *arguments]
    if grammar:
        command += ["--grammar", grammar]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                               env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        yield _started(process, "--wyoming-port" in arguments or "--wyoming-socket" in arguments)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


def _started(process: subprocess.Popen[str], wyoming: bool) -> Server:
    found = Server(process, "")
    lines = found.lines
    ends = time.monotonic() + START_SECONDS
    assert process.stderr is not None
    while not (found.url and (found.wyoming or not wyoming)):
        line = process.stderr.readline()
        lines.append(line)
        assert line and time.monotonic() < ends, "".join(lines)
        if match := re.search(r"listening on (http://\S+)/", line):
            found.url = match[1]
        if match := re.search(r"listening on ((?:tcp|unix)://\S+)", line):
            found.wyoming = match[1]
    # Else the server would wait once its messages fill the pipe.
    threading.Thread(target=_collect, args=(process.stderr, lines), daemon=True).start()
    wait_until(lambda: get(f"{found.url}/ready")[0] == 200)
    return found


def _collect(messages: IO[str], lines: list[str]) -> None:
    with messages:
        lines.extend(messages)


def wait_until(true: object, seconds: float = 60.0) -> float:
    """Wait until a function returns something true; return the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if true():  # type: ignore[operator]
                return time.monotonic() - began
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def get(url: str, **headers: str) -> tuple[int, str]:
    """Return status and body of a GET."""
    return send(urllib.request.Request(url, headers=headers))


def send(request: urllib.request.Request) -> tuple[int, str]:
    """Return status and body of a request."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wav_bytes(samples: np.ndarray, rate: int = 16000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def vosk(server: Server, data: bytes, chunk: int, config: dict[str, Any] | None = None,
         ) -> list[dict[str, Any]]:
    """Do as the public test client of Vosk's server: an answer is awaited after each chunk."""
    from websockets.sync.client import connect

    answers = []
    with connect(server.websocket, max_size=None) as socket:
        if config is not None:
            socket.send(json.dumps({"config": config}))
        for first in range(0, len(data), chunk):
            socket.send(data[first : first + chunk])
            answers.append(json.loads(socket.recv(timeout=60)))
        socket.send('{"eof" : 1}')
        answers.append(json.loads(socket.recv(timeout=60)))
    return answers


def as_form(fields: dict[str, str], sound: bytes = b"") -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    if sound:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        parts.append(head + sound + b"\r\n")
    return b"".join(parts) + b"--x--\r\n", "multipart/form-data; boundary=x"
