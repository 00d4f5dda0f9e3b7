"""Where a server listens, whom it serves, and how much of everything it accepts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from factored_asr.errors import FactoredASRError, OptionError

BLOCK_SECONDS = 0.2  # of live sound, decoded at once: results do not depend on a client's chunks


class RefusedError(FactoredASRError):
    """A request that the server does not serve.

    `status` is the HTTP status, `code` a short name of the reason, `param` the field at fault.

    Examples
    --------
    >>> refused = RefusedError(413, "too_large", "the request has more than 200 MB", "file")
    >>> refused.status, str(refused)
    (413, 'the request has more than 200 MB')
    """

    def __init__(self, status: int, code: str, message: str, param: str | None = None):
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


    @staticmethod
    def of(error: FactoredASRError) -> RefusedError:
        """Return the refusal of a request with input that the library does not accept."""
        if isinstance(error, RefusedError):
            return error
        return RefusedError(400, "invalid", str(error))


@dataclass(frozen=True)
class Limits:
    """How much the server accepts; what is beyond is refused with an error that names the limit.

    Examples
    --------
    >>> Limits(sessions=20, stream_seconds=600.0).upload_bytes >> 20  # megabytes
    200
    """

    sessions: int = 200
    """Streams and requests at once, of all workers together; higher: more memory."""
    stream_seconds: float = 3600.0
    """Seconds of sound of one stream."""
    idle_seconds: float = 60.0
    """Seconds without a message after which a stream is closed."""
    upload_bytes: int = 200 << 20
    """Bytes of one request."""
    memory_bytes: int = 1 << 30
    """Bytes of all uploads that one worker holds at once."""
    upload_seconds: float = 4 * 3600.0
    """Seconds of sound of one upload: a small file may hold days of silence."""
    phrases: int = 1000
    """Phrases in the grammar of one connection."""
    phrase_letters: int = 20_000
    """Letters of all its phrases together."""
    list_entries: int = 10_000
    """Entries of the lists of one client."""
    compile_seconds: float = 10.0
    """Seconds for compiling such a grammar."""
    text_letters: int = 2000
    """Letters of a sentence to be understood."""
    drain_seconds: float = 10.0
    """Seconds from the signal to stop until the streams that still run are closed."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise OptionError(f"{each.name} must be above 0, got {getattr(self, each.name)}")


@dataclass(frozen=True)
class ServerOptions:
    """Addresses, workers, access.

    Examples
    --------
    >>> ServerOptions(port=0, threads=2).n_threads
    2
    """

    host: str = "localhost"
    """Address for HTTP, WebSocket and Wyoming. The default serves this machine alone."""
    port: int = 8000
    """Port of HTTP and WebSocket; 0: any free one."""
    wyoming_port: int | None = None
    """Port of Wyoming; 0: any free one; None: none."""
    wyoming_socket: Path | None = None
    """Unix socket of Wyoming; None: none."""
    token: str = ""
    """Asked of every client over HTTP and WebSocket; empty: of none."""
    origins: tuple[str, ...] = ()
    """Further addresses of web pages that may use the server, as ``https://house.example``."""
    workers: int = 1
    """Processes; they share model and graph. Above 1 one that dies is replaced."""
    threads: int = 0
    """Decoding threads of a worker; 0: its share of the cores."""
    limits: Limits = field(default_factory=Limits)
    """What is refused."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.threads < 0:
            raise OptionError(f"workers must be at least 1 and threads not negative, "
                              f"got {self.workers} and {self.threads}")
        for name in ("port", "wyoming_port"):
            if not 0 <= (getattr(self, name) or 0) < 65536:
                raise OptionError(f"{name} must lie in 0..65535, got {getattr(self, name)}")
        if self.workers > 1 and not hasattr(os, "fork"):
            raise OptionError("workers above 1 need an operating system with fork")

    @property
    def n_threads(self) -> int:
        """Return the decoding threads of a worker."""
        return self.threads or max(1, -(-(os.cpu_count() or 1) // self.workers))
