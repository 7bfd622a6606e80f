"""Notices that a peer is gone although its connection was never closed: Wi-Fi lost, power cut, reboot."""

from __future__ import annotations

import threading
import time
from typing import Any

INTERVAL_S = 15.0
SILENT_FOR = 3
"""Keepalives without any answer after which a peer counts as gone."""


class WatchedSocket:
    """A socket (or channel) that remembers when it last received something."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.heard = time.monotonic()

    def recv(self, size: int) -> bytes:
        data = self._sock.recv(size)
        self.heard = time.monotonic()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Keepalive:
    """Asks the peer for an answer every `interval_s` seconds, and knows for how long it has been silent.

    Paramiko's own keepalive wants no answer, so it never finds out that nobody listens.
    """

    def __init__(self, transport: Any, sock: WatchedSocket, interval_s: float = INTERVAL_S) -> None:
        self._transport = transport
        self._sock = sock
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._why = ""
        threading.Thread(target=self._ask, name="keepalive", daemon=True).start()

    def _ask(self) -> None:
        while not self._stop.wait(self._interval_s) and self._transport.is_active():
            try:
                # OpenSSH refuses this request, which is an answer; the call returns when the transport ends.
                self._transport.global_request("keepalive@openssh.com", wait=True)
            except Exception:
                return  # the transport broke in mid-request; whoever reads from it will see why

    def lost(self) -> str:
        """Why the connection is dead (and it is closed then), or an empty string."""
        if self._why:
            return self._why
        if not self._transport.is_active():
            return "the connection was closed"
        limit_s = self._interval_s * SILENT_FOR
        if time.monotonic() - self._sock.heard > limit_s:
            self._why = f"no sign of life for {limit_s:g} s"
            self.stop()
            self._transport.close()
        return self._why

    def stop(self) -> None:
        self._stop.set()
