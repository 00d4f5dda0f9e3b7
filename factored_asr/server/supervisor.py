"""The server's first process: it loads the models once, then forks workers and replaces them.

Workers share the memory of models and graphs. A worker that dies is replaced at once, as nothing
has to be loaded again; its WebSockets get a close frame.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factored_asr.acoustic.threads import blas_threads
from factored_asr.errors import FactoredASRError, OptionError
from factored_asr.server.engine import Engine
from factored_asr.server.keeper import Keeper, Kept
from factored_asr.server.memory import give_back, map_large_arrays
from factored_asr.server.metrics import Metrics
from factored_asr.server.options import ServerOptions
from factored_asr.server.worker import CLOSE_SECONDS, QUEUE, Sockets, run_worker

SHORT_LIFE = 2.0  # seconds: a worker that dies younger is a fault that will come back
MOST_DEATHS = 10  # of short lives in a row
SPARE_SECONDS = 1.0  # beyond the time that workers take to stop
Say = Callable[[str], None]


@dataclass
class _Worker:
    number: int
    pid: int
    born: float
    kept: Kept


# For workers to inherit. Where a forked process sets and lifts the limit for each block of sound,
# a thread of BLAS spins all the time, and recognition takes several times longer.
@blas_threads()
def serve(make: Callable[[Metrics], Engine], options: ServerOptions, say: Say) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Parameters
    ----------
    make
        Loads what is recognised and returns the engine; nothing listens before it has.
    say
        Called with a line for people, such as the addresses.

    Raises
    ------
    OptionError
        An address cannot be used.
    """
    sockets = bind(options)
    map_large_arrays()
    metrics = Metrics(options.workers)
    engine = make(metrics)
    engine.warm_up()
    for each in (*sockets.http, *sockets.wyoming):
        each.listen(QUEUE)
    for line in addresses(sockets):
        say(line)
    try:
        if not hasattr(os, "fork"):
            run_worker(engine, sockets)
            return 0
        return Supervisor(engine, sockets, say).run()
    finally:
        if options.wyoming_socket is not None:
            options.wyoming_socket.unlink(missing_ok=True)


class Supervisor:
    """Forks workers, replaces those that die, and stops them all."""

    def __init__(self, engine: Engine, sockets: Sockets, say: Say):
        self._engine, self._sockets, self._say = engine, sockets, say
        self._workers: dict[int, _Worker] = {}
        self._stopping = False
        self._deaths = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Supervise until it is to stop; return the exit code."""
        gc.collect()
        give_back()
        gc.freeze()  # objects that workers share are left alone
        wake, woken = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        before = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(each, self._on_signal)
        self._selector.register(wake, selectors.EVENT_READ)
        for number in range(self._engine.options.workers):
            self._fork(number)
        try:
            while self._workers and not self._stopping:
                self._wait(1.0)
                with suppress(BlockingIOError):
                    wake.recv(4096)
            return self._stop()
        finally:
            signal.set_wakeup_fd(before)

    def _on_signal(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Kept):
                key.data.read()
        self._reap()

    def _reap(self) -> None:
        """Replace the workers that have died."""
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            dead = self._workers.pop(pid, None)
            if dead is None:
                continue
            self._selector.unregister(dead.kept.pipe)
            dead.kept.bury()
            if self._stopping:
                continue
            young = time.monotonic() - dead.born < SHORT_LIFE
            self._deaths = self._deaths + 1 if young else 0
            self._say(f"worker {pid} ended with {os.waitstatus_to_exitcode(status)}")
            if self._deaths > MOST_DEATHS:
                raise FactoredASRError("workers end as soon as they start: see the errors above")
            time.sleep(min(self._deaths, 5) * 0.2)
            self._engine.metrics.add("worker_starts_total")
            self._fork(dead.number)

    def _fork(self, number: int) -> None:
        kept = Kept()
        pid = os.fork()
        if not pid:
            _be_worker(self._engine, number, self._sockets, kept)
        kept.theirs.close()
        self._workers[pid] = _Worker(number, pid, time.monotonic(), kept)
        self._selector.register(kept.pipe, selectors.EVENT_READ, kept)

    def _stop(self) -> int:
        """Let the workers finish; kill what has not stopped by then."""
        for pid in self._workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        drain = self._engine.limits.drain_seconds
        ends = time.monotonic() + drain + CLOSE_SECONDS + SPARE_SECONDS
        while self._workers and time.monotonic() < ends:
            self._wait(0.1)
        for pid in self._workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self._workers:
            self._wait(0.1)
        return 0


def _be_worker(engine: Engine, number: int, sockets: Sockets, kept: Kept) -> None:
    """The forked process; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kept.pipe.close()
        kept.theirs.setblocking(False)
        engine.metrics.fork(number)
        own = sockets if number == 0 else Sockets(sockets.http)
        run_worker(engine, own, Keeper(kept.theirs))
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)  # without the clean-up of the supervisor, and of threads that still work


def bind(options: ServerOptions) -> Sockets:
    """Return sockets that hold the addresses but do not listen yet; OptionError if one is taken."""
    http = [_tcp(options.host, options.port)]
    wyoming = []
    if options.wyoming_port is not None:
        wyoming.append(_tcp(options.host, options.wyoming_port))
    if options.wyoming_socket is not None:
        wyoming.append(_unix(options.wyoming_socket))
    return Sockets(http, wyoming)


def _tcp(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OptionError(f"there is no host {host}: {error.strerror}") from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bound(made, address, f"{host} port {port}")


def _unix(path: Path) -> socket.socket:
    if path.is_socket():
        path.unlink()  # of a server that was killed
    made = _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(path), str(path))
    path.chmod(0o600)
    return made


def _bound(made: socket.socket, address: Any, name: str) -> socket.socket:
    try:
        made.bind(address)
    except OSError as error:
        made.close()
        raise OptionError(f"cannot listen on {name}: {error.strerror or error}") from None
    made.setblocking(False)
    return made


def addresses(sockets: Sockets) -> list[str]:
    """Return a line for each address."""
    host, port = sockets.http[0].getsockname()[:2]
    lines = [f"listening on http://{f'[{host}]' if ':' in host else host}:{port}/ and ws://"]
    for each in sockets.wyoming:
        name = each.getsockname()
        lines.append(f"listening on {_wyoming_address(name)} (Wyoming)")
    return lines


def _wyoming_address(name: object) -> str:
    return f"tcp://{name[0]}:{name[1]}" if isinstance(name, tuple) else f"unix://{name}"
