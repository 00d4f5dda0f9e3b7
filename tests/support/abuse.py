"""Clients that behave badly in every way, between others that do not."""

from __future__ import annotations

import asyncio
import json
import random
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


@dataclass
class Seen:
    """What came of the sessions."""

    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers to valid requests that were not as they should be."""
    busy: int = 0
    """Valid requests that got 503."""


@dataclass
class Abuser:
    """Sessions with a server; `data` is 16-bit sound at 16 kHz in which `text` is said."""

    url: str
    wyoming: str
    data: bytes
    text: str
    file: bytes
    seen: Seen = field(default_factory=Seen)

    async def run(self, n_sessions: int, at_once: int, seed: int = 1) -> Seen:
        """Run so many sessions, so many at once."""
        rng, gate = random.Random(seed), asyncio.Semaphore(at_once)
        kinds = self.kinds()
        names = list(kinds)

        async def one(name: str, own: random.Random) -> None:
            async with gate:
                self.seen.kinds[name] += 1
                try:
                    await asyncio.wait_for(kinds[name](own), 120)
                except TimeoutError:
                    self.seen.wrong.append(f"{name}: no answer")
                except (OSError, EOFError, WebSocketException) as error:
                    if name.startswith("valid"):
                        self.seen.wrong.append(f"{name}: {error!r}")

        await asyncio.gather(*(one(names[i % len(names)], random.Random(rng.random()))
                               for i in range(n_sessions)))
        return self.seen

    def kinds(self) -> dict[str, Callable[[random.Random], Awaitable[None]]]:
        """The sorts of sessions."""
        return {
            "valid stream": self.valid_stream, "valid upload": self.valid_upload,
            "disconnect": self.disconnect, "invalid JSON": self.invalid_json,
            "text for sound": self.text_for_sound, "partial frame": self.partial_frame,
            "huge upload": self.huge_upload, "slow reader": self.slow_reader,
            "broken HTTP": self.broken_http, "broken Wyoming": self.broken_wyoming,
        }

    @property
    def _websocket(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def _tcp(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self.url)
        return await asyncio.open_connection(address.hostname, address.port)

    async def valid_stream(self, rng: random.Random) -> None:
        async with connect(self._websocket, compression=None) as socket:
            await socket.send('{"config": {"sample_rate": 16000}}')
            place, texts = 0, []
            while place < len(self.data):
                size = rng.randrange(100, 20000)
                await socket.send(self.data[place : place + size])
                place += size
                texts.append(json.loads(await socket.recv()).get("text", ""))
            await socket.send('{"eof": 1}')
            texts.append(json.loads(await socket.recv())["text"])
        found = " ".join(filter(None, texts))
        if found != self.text:
            self.seen.wrong.append(f"stream: {found!r}")

    async def valid_upload(self, rng: random.Random) -> None:
        reader, writer = await self._tcp()
        body = (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
                + self.file + b"\r\n--x--\r\n")
        writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     b"Content-Type: multipart/form-data; boundary=x\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        if b" 503 " in answer[:20]:
            self.seen.busy += 1
        elif not answer.endswith(json.dumps({"text": self.text},
                                            separators=(",", ":")).encode()):
            self.seen.wrong.append(f"upload: {answer[-200:]!r}")

    async def disconnect(self, rng: random.Random) -> None:
        socket = await connect(self._websocket, compression=None)
        for _ in range(rng.randrange(4)):
            await socket.send(self.data[: rng.randrange(20000)])
        socket.transport.abort()

    async def invalid_json(self, rng: random.Random) -> None:
        async with connect(self._websocket, compression=None) as socket:
            await socket.send(rng.choice(["{", "[]", "null", '{"config": 3}', "\x00", "9" * 5000,
                                          '{"config": {"phrase_list": [[]]}}', '{"eof": }']))
            await socket.recv()

    async def text_for_sound(self, rng: random.Random) -> None:
        async with connect(self._websocket, compression=None) as socket:
            await socket.send(self.data[:3001])
            await socket.recv()
            await socket.send(self.data[:2000].hex())
            await socket.recv()

    async def partial_frame(self, rng: random.Random) -> None:
        """A frame that promises more than comes; or one that no client may send."""
        reader, writer = await self._tcp()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                     b"Sec-WebSocket-Version: 13\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        length = rng.choice([100, 2**20, 2**62])
        writer.write(struct.pack("!BBQ", rng.choice([0x82, 0x81, 0x02, 0x8F]), 0xFF, length)
                     + bytes(rng.randrange(90)))
        await writer.drain()
        await asyncio.sleep(rng.random() / 10)
        writer.transport.abort()

    async def huge_upload(self, rng: random.Random) -> None:
        reader, writer = await self._tcp()
        writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Type: multipart/form-data; boundary=x\r\n"
                     b"Content-Length: 1073741824\r\n\r\n" + bytes(rng.randrange(50000)))
        answer = await reader.read(20)
        writer.transport.abort()
        if b" 413 " not in answer:
            self.seen.wrong.append(f"huge upload: {answer!r}")

    async def slow_reader(self, rng: random.Random) -> None:
        """Sends and never reads."""
        socket = await connect(self._websocket, compression=None, max_queue=1)
        for _ in range(20):
            await socket.send(self.data[:640])
        await asyncio.sleep(rng.random() / 2)
        socket.transport.abort()

    async def broken_http(self, rng: random.Random) -> None:
        reader, writer = await self._tcp()
        writer.write(rng.choice([
            b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", bytes(rng.randrange(256) for _ in range(200)),
            b"POST /v1/understand HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
            b"POST /v1/understand HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 2000,
        ]))
        await writer.drain()
        await asyncio.sleep(rng.random() / 10)
        writer.transport.abort()

    async def broken_wyoming(self, rng: random.Random) -> None:
        address = urlsplit(self.wyoming)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(rng.choice([
            b"{}\n", b"x" * 100000, b'{"type": "audio-chunk", "payload_length": 1000}\nabc',
            b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
            b'{"type": "audio-chunk", "payload_length": 999, "data": {"rate": 1}}\n' + bytes(999),
        ]))
        await writer.drain()
        await asyncio.sleep(rng.random() / 10)
        writer.transport.abort()


def abuse(url: str, wyoming: str, sound: Path, text: str, n_sessions: int, at_once: int) -> Seen:
    """Run sessions with a server; `sound` is a wav file of 16 kHz in which `text` is said."""
    file = sound.read_bytes()
    abuser = Abuser(url, wyoming, file[44:], text, file)
    return asyncio.run(abuser.run(n_sessions, at_once))
