"""Live streams of a server in real time: how many at once, how late, how much memory.

Clients in processes of their own send the examples' sounds over Vosk's WebSocket, in blocks of
100 ms at the pace of a microphone, with pauses between the sentences, and do not wait for answers.
Lateness: from the time at which the last sample of a block was spoken until its answer; a block is
decoded with the next 200 ms of sound, so an answer without any load comes up to 100 ms later.
Final: from the end of a sentence (`eof`) to its final result. First word: from the end of the first
word (by the library's times) to the first partial result that begins with it. Bars: 40 streams of
commands and 12 of dictation with lateness of at most 0.5 s at the 99th percentile; final results of
10 streams within 0.3 s at the 95th; the first word within 0.5 s.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import parser, report

ROOT = Path(__file__).parents[2]
SOUNDS = ROOT / "examples" / "audio"
BLOCK = 0.1  # seconds
RATE = 16000
CLIENT_PROCESSES = 2


@dataclass
class Seen:
    """What the clients measured, seconds."""

    late: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    wrong: int = 0
    right: int = 0


def sounds(model: str) -> list[tuple[np.ndarray, str, float]]:
    """Samples, text and the end of the first word of each sentence."""
    from factored_asr import Recognizer
    from factored_asr.audio.reading import read_audio

    recognizer = Recognizer.load(model, grammar=str(ROOT / "lm" / "smart_home.yaml"))
    found = []
    for path in sorted(SOUNDS.glob("*.wav")):
        said = recognizer.transcribe(path)
        if said.words:
            samples = (read_audio(path, sample_rate=RATE)[0] * 32767).astype("<i2")
            found.append((samples, said.text, said.words[0].end))
    return found


async def stream(url: str, given: list[tuple[np.ndarray, str, float]], first: int, seconds: float,
                 seen: Seen, check: bool) -> None:
    """One client: sentences one after the other, each a connection of its own, for some time."""
    from websockets.asyncio.client import connect

    ends = time.monotonic() + seconds
    number = first
    await asyncio.sleep(first * 0.037 % 1)
    while time.monotonic() < ends:
        samples, text, word_end = given[number % len(given)]
        number += 1
        pause = np.random.default_rng(number).integers(-3, 4, RATE // 2).astype("<i2")
        data = np.concatenate([samples, pause]).tobytes()
        async with connect(url, compression=None) as socket:
            await socket.send(json.dumps({"config": {"sample_rate": RATE}}))
            reading = asyncio.create_task(_read(socket, seen, word_end, text, check))
            began = time.monotonic()
            reading.began = began  # type: ignore[attr-defined]
            spoken: asyncio.Queue[float] = asyncio.Queue()
            reading.spoken = spoken  # type: ignore[attr-defined]
            size = 2 * round(RATE * BLOCK)
            for count, place in enumerate(range(0, len(data), size), start=1):
                await asyncio.sleep(max(0.0, began + count * BLOCK - time.monotonic()))
                spoken.put_nowait(time.monotonic())
                await socket.send(data[place : place + size])
            spoken.put_nowait(time.monotonic())
            await socket.send('{"eof": 1}')
            await reading


async def _read(socket: Any, seen: Seen, word_end: float, text: str, check: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    n_answers, heard, texts = 0, False, []
    await asyncio.sleep(0)
    spoken, began = task.spoken, task.began  # type: ignore[attr-defined]
    async for message in socket:
        now, answer = time.monotonic(), json.loads(message)
        sent = spoken.get_nowait()
        n_answers += 1
        if answer.get("partial", "").split()[:1] == text.split()[:1] and not heard:
            heard = True
            seen.first.append(now - began - word_end)
        if "text" in answer and spoken.empty() and n_answers > 1:
            seen.final.append(now - sent)
        else:
            seen.late.append(now - sent)
        texts.append(answer.get("text", ""))
    found = " ".join(filter(None, texts))
    if check:
        seen.right += found == text
        seen.wrong += found != text


def clients(url: str, given: Any, numbers: list[int], seconds: float, check: bool,
            results: Any) -> None:
    """The process of some clients."""
    async def run() -> Seen:
        seen = Seen()
        await asyncio.gather(*(stream(url, given, n, seconds, seen, check) for n in numbers))
        return seen

    results.put(asyncio.run(run()))


def memory(pid: int) -> float:
    """Proportional memory of a process and its children, MB."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in [str(pid), *children]:
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += int(re.search(r"Pss:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]
    return total


def measure(url: str, pid: int, given: Any, n_streams: int, seconds: float, check: bool
            ) -> tuple[Seen, float]:
    """Run so many streams; return what they saw, and MB of memory at the most."""
    results: Any = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=clients, args=(
            url, given, list(range(i, n_streams, CLIENT_PROCESSES)), seconds, check, results))
        for i in range(min(CLIENT_PROCESSES, n_streams))
    ]
    for each in processes:
        each.start()
    most, ends = memory(pid), time.monotonic() + seconds - 1
    while time.monotonic() < ends:
        time.sleep(0.5)
        most = max(most, memory(pid))
    found = [results.get(timeout=seconds + 120) for _ in processes]
    for each in processes:
        each.join()
    times = (sum((getattr(s, name) for s in found), []) for name in ("late", "final", "first"))
    return Seen(*times, sum(s.wrong for s in found), sum(s.right for s in found)), most


def started(options: Any) -> tuple[Any, str, float]:
    """Start a server; return its process, its address, and seconds until it listened."""
    command = [sys.executable, "-m", "factored_asr", "serve", "--model", options.model,
               "--port", "0",
               "--workers", str(options.workers), "--threads", str(options.threads)]
    command += ["--dictation"] if options.dictation else [
        "--grammar", str(ROOT / "lm" / "smart_home.yaml")]
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                               env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"http://(\S+)/", line):
            return process, f"ws://{match[1]}", time.perf_counter() - began
    raise SystemExit("the server did not start")


def main() -> None:
    """Run each number of streams; print percentiles."""
    made = parser(__doc__)
    made.add_argument("--streams", default="1,10,20,40", help="numbers of streams")
    made.add_argument("--seconds", type=float, default=20.0, help="of each run (default: 20)")
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--dictation", action="store_true")
    made.add_argument("--model", default="en-us")
    options = made.parse_args()
    given = sounds(options.model)
    process, url, ready = started(options)
    rows = []
    try:
        measure(url, process.pid, given, 4, 5.0, False)  # warm
        time.sleep(1)
        before = memory(process.pid)
        for n in map(int, options.streams.split(",")):
            seen, most = measure(url, process.pid, given, n, options.seconds,
                                 not options.dictation)
            rows.append([str(n), *_three(seen.late), *_three(seen.final),
                         *(f"{p:.2f}" for p in np.percentile(seen.first or [0], [50, 95])),
                         f"{(most - before) / n:.1f}", f"{seen.right}/{seen.right + seen.wrong}"])
            print(rows[-1], flush=True)
    finally:
        process.terminate()
        process.wait()
    kind = "dictation" if options.dictation else "commands"
    report(options, f"Live streams of {kind} in a server", rows,
           ["streams", "late p50", "p95", "p99", "final p50", "p95", "p99", "first p50", "p95",
            "MB a stream", "right"])  # fmt: skip
    print(f"ready after {ready:.2f} s, {before:.0f} MB")


def _three(values: list[float]) -> list[str]:
    return [f"{value:.3f}" for value in np.percentile(values or [0.0], [50, 95, 99])]


if __name__ == "__main__":
    main()
