"""A worker killed (SIGKILL) while a server is under load: what becomes of the other streams?

Clients in a process of their own speak commands in real time over Vosk's WebSocket, as in
`server_streams.py`. In the middle one worker is killed. Bars: streams of other workers give every
result; each lost one gets a close frame or 503; the new worker serves a stream within 5 s.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from common import parser, report

sys.path.insert(0, str(Path(__file__).parents[1]))

from server_streams import BLOCK, RATE, sounds
from support.server import Server, running

BEFORE, AFTER = 5.0, 8.0  # seconds of load


async def client(url: str, given: Any, number: int, ends: float, results: Any) -> None:
    """Sentences one after the other, each a connection of its own; tell how each ended, and when.

    Results: (number, "right" | "wrong" | close code | name of an error, time of the end).
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    await asyncio.sleep(number * 0.037 % 1)
    while time.monotonic() < ends:
        samples, text, _ = given[number % len(given)]
        number, data, texts = number + 1, samples.tobytes(), []
        try:
            async with connect(url, compression=None) as socket:
                began, size = time.monotonic(), 2 * round(RATE * BLOCK)
                for count, place in enumerate(range(0, len(data), size), start=1):
                    await asyncio.sleep(max(0.0, began + count * BLOCK - time.monotonic()))
                    await socket.send(data[place : place + size])
                    texts.append(json.loads(await socket.recv()).get("text", ""))
                await socket.send('{"eof": 1}')
                texts.append(json.loads(await socket.recv())["text"])
            outcome = "right" if " ".join(filter(None, texts)) == text else "wrong"
        except ConnectionClosed as error:
            outcome = str(error.rcvd.code if error.rcvd else "no close frame")
        except InvalidStatus as error:
            outcome = str(error.response.status_code)
        except OSError as error:
            outcome = type(error).__name__
        results.put((outcome, time.monotonic()))


def clients(url: str, given: Any, n_streams: int, seconds: float, results: Any) -> None:
    """The process of the clients."""
    async def run() -> None:
        ends = time.monotonic() + seconds
        await asyncio.gather(*(client(url, given, i, ends, results) for i in range(n_streams)))
        results.put(None)

    asyncio.run(run())


def until_new_serves(server: Server, before: list[int]) -> float:
    """Return the seconds until a worker that is not among `before` answers a stream."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    began = time.monotonic()
    while time.monotonic() - began < 30:
        try:
            with connect(server.websocket, compression=None, open_timeout=2) as socket:
                own = socket.local_address[1]
                socket.send('{"eof": 1}')
                socket.recv(timeout=2)
                answered = time.monotonic() - began
                new = set(server.workers()) - set(before)
                if any(each.raddr and each.raddr.port == own for pid in new
                       for each in psutil.Process(pid).net_connections("tcp")):
                    return answered
        except (OSError, WebSocketException, psutil.Error):
            pass
        time.sleep(0.02)
    return float("inf")


def main() -> None:
    """Kill a worker some times, one server each."""
    made = parser(__doc__)
    made.add_argument("--streams", type=int, default=20)
    made.add_argument("--times", type=int, default=3)
    made.add_argument("--model", default="en-us-network")
    options = made.parse_args()
    given, rows = sounds(options.model), []
    for number in range(options.times):
        results: Any = multiprocessing.Queue()
        with running("--workers", "2", "--threads", "1", model=options.model) as server:
            load = multiprocessing.Process(target=clients, args=(
                server.websocket, given, options.streams, BEFORE + AFTER, results))
            load.start()
            time.sleep(BEFORE)
            workers = server.workers()
            os.kill(workers[number % 2], signal.SIGKILL)
            killed, serves = time.monotonic(), until_new_serves(server, workers)
            found = [*iter(results.get, None)]
            load.join()
        lost = [(outcome, at - killed) for outcome, at in found
                if outcome not in ("right", "wrong")]
        kinds = sorted({outcome for outcome, _ in lost})
        rows.append([
            str(options.streams), str(len(lost)),
            ", ".join(f"{sum(o == kind for o, _ in lost)} × {kind}" for kind in kinds),
            f"{max((at for _, at in lost), default=0):.2f}", f"{serves:.2f}",
            f"{sum(o == 'right' and at > killed for o, at in found)}",
            str(sum(o == "wrong" for o, _ in found)),
        ])
        print(rows[-1], flush=True)
    report(options, "A worker killed under load", rows,
           ["streams", "lost", "told by", "last told, s", "new one serves, s", "right afterwards",
            "wrong"])  # fmt: skip


if __name__ == "__main__":
    main()
