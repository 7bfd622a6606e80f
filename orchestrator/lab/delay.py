"""A TCP proxy that makes a good link bad, by delay, cut connections or silence; for tests and for trying things out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading


class Link:
    """Forwards a loopback port to `host:port`, `delay_s` later in each direction: the round trip grows by twice that.

    A context manager; `address` is where to connect instead. Methods may be called from any thread.
    """

    def __init__(self, host: str, port: int, delay_s: float = 0.0, listen_host: str = "127.0.0.1") -> None:
        self.target = (host, port)
        self.delay_s = delay_s
        self.address = (listen_host, 0)
        self.connections = 0
        """How many were accepted so far."""
        self.round_trips = 0
        """Longest chain so far of: the client sends, the server has it and answers, the client has it and sends again;
        a new connection costs one more."""
        self._asked = 0
        self._refusing = False
        self._silent = False
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)

    def __enter__(self) -> Link:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection now; new ones are taken."""

        async def cut() -> None:
            self._cut()

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result(10)

    def refuse(self, on: bool = True) -> None:
        """While on, new connections are reset at once, as when nobody listens."""
        self._refusing = on

    def silence(self, on: bool = True) -> None:
        """While on, bytes vanish and no connection ends, as when a board loses its power or Wi-Fi."""
        self._silent = on

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, self.address[0], 0)
        self.address = server.sockets[0].getsockname()[:2]
        return server

    async def _close(self) -> None:
        self._server.close()
        self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cut(self) -> None:
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)
        self._pairs.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.round_trips += 1
        if self._refusing:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (writer, far_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._carry(reader, far_writer, True), self._carry(far_reader, writer, False))
        except OSError:
            pass
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asking: bool) -> None:
        """One direction: what comes in goes out `delay_s` later, in order, however much is under way."""
        loop = asyncio.get_running_loop()
        # Bounded, so that a fast sender waits as it would for a full window.
        under_way: asyncio.Queue[tuple[float, bytes, int]] = asyncio.Queue(4096)

        async def deliver() -> None:
            while True:
                due, data, depth = await under_way.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if self._silent:
                    continue
                if not data:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                # What an end sends from here on may be because of this.
                if asking:
                    self._asked = max(self._asked, depth)
                else:
                    self.round_trips = max(self.round_trips, depth)
                writer.write(data)
                await writer.drain()

        delivery = asyncio.ensure_future(deliver())
        try:
            while True:
                data = await reader.read(65536)
                depth = self.round_trips + 1 if asking else self._asked
                await under_way.put((loop.time() + self.delay_s, data, depth))
                if not data:
                    break
            await delivery
        finally:
            delivery.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a lost peer would seem: no orderly end, nothing flushed."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
