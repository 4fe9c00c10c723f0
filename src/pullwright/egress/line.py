"""Messages with descriptors between this process and the one that looks into TLS."""

import array
import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

_MOST = 64 * 1024
_DESCRIPTORS = 4

Message = dict[str, Any]
Heard = Callable[[Message, list[int]], None]


class Line:
    """One end. What is heard is handed on with its descriptors, which the listener closes; `lost` is set at the end."""

    def __init__(self, end: socket.socket, heard: Heard) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._sending = asyncio.Lock()
        self.lost = asyncio.Event()
        self._loop.add_reader(end, self._ready)

    async def say(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send. Raises `ConnectionError` once the other end has gone."""
        data = json.dumps(message).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        async with self._sending:
            while not self.lost.is_set():
                try:
                    self._socket.sendmsg([data], rights)
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    self.close()
                else:
                    return
        raise ConnectionError("the other end has gone")

    async def _writable(self) -> None:
        room: asyncio.Future[None] = self._loop.create_future()

        def settle() -> None:
            if not room.done():
                room.set_result(None)

        self._loop.add_writer(self._socket, settle)
        try:
            await room
        finally:
            if not self.lost.is_set():
                self._loop.remove_writer(self._socket)

    def close(self) -> None:
        """Hang up."""
        if not self.lost.is_set():
            self.lost.set()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _ready(self) -> None:
        while not self.lost.is_set():
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, _MOST, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                for descriptor in descriptors:
                    os.close(descriptor)
                self.close()
                return
            self._heard(json.loads(data), descriptors)
