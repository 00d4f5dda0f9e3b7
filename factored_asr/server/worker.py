"""One worker: an event loop that serves all protocols with one engine, until it is to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from factored_asr.server.app import application
from factored_asr.server.engine import Engine
from factored_asr.server.keeper import Keeper
from factored_asr.server.memory import Trimmer

MESSAGE_BYTES = 256 << 10  # of one WebSocket message: 8 s of sound at 16 kHz
CLOSE_SECONDS = 2.0  # for the last bytes to go out
QUEUE = 512  # connections that wait to be accepted
POLL_SECONDS = 0.2
TURN_SECONDS = 0.02  # a worker waits so long for each connection that it has more than another
LONGEST_TURN = 0.2  # then it takes the next one: the other may be stuck


@dataclass(frozen=True)
class Sockets:
    """Where a worker listens."""

    http: Sequence[socket.socket]
    wyoming: Sequence[socket.socket] = ()
    """Of the first worker alone: a conversation stays in one process."""


class _Server(uvicorn.Server):
    """Uvicorn, stopped by us; the worker with the fewest connections takes the next one.

    A stream lasts long. The first to wake up might otherwise take them all.
    """

    def __init__(self, config: uvicorn.Config, engine: Engine):
        super().__init__(config)
        self._metrics = engine.metrics
        self._trimmer = Trimmer(lambda: engine.n_sessions, lambda: engine.n_ended)
        self._accepting: list[asyncio.Task[None]] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        self._accepting = [asyncio.create_task(self._accept(each)) for each in sockets or ()]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for each in self._accepting:
            each.cancel()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        self._count()
        self._trimmer.tick()
        return await super().on_tick(counter)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            await asyncio.sleep(min(TURN_SECONDS * self._count(), LONGEST_TURN))
            try:
                accepted, _ = await loop.sock_accept(listening)
                await loop.connect_accepted_socket(self._protocol, accepted)
            except OSError as error:  # a connection that has gone, or too many open files
                logging.getLogger("uvicorn.error").error("no connection accepted: %s", error)
                await asyncio.sleep(LONGEST_TURN)

    def _protocol(self) -> asyncio.Protocol:
        made: Any = self.config.http_protocol_class
        return made(config=self.config, server_state=self.server_state,
                    app_state=self.lifespan.state)

    def _count(self) -> float:
        """Tell the other workers of our connections; return how many fewer one of them has."""
        return self._metrics.surplus("connections", len(self.server_state.connections))


def run_worker(engine: Engine, sockets: Sockets, keeper: Keeper | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone."""
    asyncio.run(serve(engine, sockets, keeper or Keeper()))


async def serve(engine: Engine, sockets: Sockets, keeper: Keeper) -> None:
    """Serve in the running loop; see `run_worker`."""
    server = _Server(_config(engine, keeper), engine)
    loop, stop, parent = asyncio.get_running_loop(), asyncio.Event(), os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(server.serve(list(sockets.http)))
    others = await _serve_wyoming(engine, sockets.wyoming)
    while not (stop.is_set() or running.done() or os.getppid() != parent):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
    engine.draining = True  # new requests get 503, those that run go on
    ends = loop.time() + engine.limits.drain_seconds
    while engine.n_sessions and loop.time() < ends:
        await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(POLL_SECONDS)
    server.should_exit = True
    for each in others:
        each.close()
    await running


async def _serve_wyoming(engine: Engine, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
    if not sockets:
        return []
    from factored_asr.server.wyoming import MAX_LINE, handler

    made = []
    for each in sockets:
        start = asyncio.start_server if each.family != socket.AF_UNIX else asyncio.start_unix_server
        made.append(await start(handler(engine), sock=each, limit=MAX_LINE, backlog=QUEUE))
    return made


def _config(engine: Engine, keeper: Keeper) -> uvicorn.Config:
    class KeptWebSocket(WebSocketsSansIOProtocol):
        """A WebSocket of which the supervisor knows."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self._handle = transport.get_extra_info("socket").fileno()
            keeper.hold(self._handle)

        def connection_lost(self, exc: Exception | None) -> None:
            keeper.drop(self._handle)
            super().connection_lost(exc)

    # No pings: while a client's messages wait to be decoded, nothing is read, its pongs neither:
    # a busy server would take it for dead. `Limits.idle_seconds` ends what sends no messages.
    return uvicorn.Config(
        application(engine), log_level="warning", access_log=False, lifespan="off",
        ws=KeptWebSocket, ws_max_size=MESSAGE_BYTES, ws_per_message_deflate=False,
        ws_ping_interval=None,
        server_header=False, proxy_headers=False, timeout_keep_alive=30,
        timeout_graceful_shutdown=int(CLOSE_SECONDS),
    )
