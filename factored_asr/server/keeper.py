"""Connections outlive their worker: the supervisor holds a second handle and says goodbye.

A process that is killed cannot close its WebSockets. Each worker therefore hands the supervisor a
duplicate of every WebSocket; when the worker dies, the supervisor sends the close frame.
"""

from __future__ import annotations

import array
import socket
import struct
from contextlib import suppress

GONE = b"\x88\x02" + struct.pack("!H", 1012)  # RFC 6455: a close frame, "service restart"
HOLD, DROP = b"+", b"-"
MESSAGE = struct.Struct("!ci")


class Keeper:
    """The worker's end: which WebSockets are open."""

    def __init__(self, pipe: socket.socket | None = None):
        self._pipe = pipe

    def hold(self, handle: int) -> None:
        """Hand a duplicate of a connection to the supervisor."""
        if self._pipe is not None:
            handles = array.array("i", [handle])
            with suppress(OSError):  # a full pipe: this connection ends without a close frame
                self._pipe.sendmsg([MESSAGE.pack(HOLD, handle)],
                                   [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])

    def drop(self, handle: int) -> None:
        """Let the supervisor close its duplicate, without which the connection stays open."""
        if self._pipe is not None:
            self._pipe.send(MESSAGE.pack(DROP, handle))


class Kept:
    """The supervisor's end, for one worker."""

    def __init__(self) -> None:
        self.pipe, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pipe.setblocking(False)
        self._handles: dict[int, socket.socket] = {}

    def read(self) -> None:
        """Take what the worker has sent."""
        with suppress(BlockingIOError, ConnectionError):
            while True:
                data, extra, _, _ = self.pipe.recvmsg(MESSAGE.size, socket.CMSG_SPACE(4))
                if not data:
                    return
                kind, handle = MESSAGE.unpack(data)
                if kind == HOLD and extra:
                    self._handles[handle] = socket.socket(fileno=array.array("i", extra[0][2])[0])
                elif handle in self._handles:
                    self._handles.pop(handle).close()

    def bury(self) -> None:
        """Close what a dead worker has left."""
        self.read()
        for each in self._handles.values():
            with suppress(OSError):
                each.setblocking(False)
                each.send(GONE)
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.pipe.close()
