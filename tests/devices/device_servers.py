"""An SSH server of the tests (asyncssh, in a thread) and a TCP proxy that delays, cuts and swallows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import socket
import subprocess
import threading
import time
from pathlib import Path

import asyncssh


class SshServer:
    """Serves one home folder on a loopback port.

    Args:
        home: HOME of the commands and root of relative paths.
        authorized: public key file that may log in.
        password: that may log in as anybody.
        noise: shell commands that run before each command, as a .bashrc would.
        banner: shown before the login.
        wrap: words put before each command's shell.
        host_keys: private keys; made anew by default.
        path: folder to put before PATH.
        sftp: whether there is an SFTP subsystem.
    """

    def __init__(
        self,
        home,
        *,
        authorized=None,
        password=None,
        noise="",
        banner="",
        wrap="",
        path="",
        host_keys=None,
        sftp=True,
    ):
        self.home, self.noise, self.banner, self.wrap, self.sftp = Path(home), noise, banner, wrap, sftp
        self.password, self.path = password, path
        self.authorized = str(authorized) if authorized else None
        self.host_keys = host_keys or [asyncssh.generate_private_key("ssh-ed25519")]
        self.logins = 0
        self._children = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self):
        outer = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, connection):
                outer.connections += 1
                self.connection = connection

            def begin_auth(self, username):
                if outer.banner:
                    self.connection.send_auth_banner(outer.banner)
                return True

            def auth_completed(self):
                outer.logins += 1

            def password_auth_supported(self):
                return outer.password is not None

            def validate_password(self, username, password):
                return password == outer.password

            def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
                return True

        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=self.host_keys,
            authorized_client_keys=self.authorized,
            process_factory=self._run,
            sftp_factory=asyncssh.SFTPServer if self.sftp else None,
            encoding=None,
        )
        return self._acceptor.get_port()

    async def _run(self, process):
        command = self.noise + ("; " if self.noise else "") + (process.command or "true")
        child = await asyncio.create_subprocess_exec(
            *shlex.split(self.wrap),
            "/bin/sh",
            "-c",
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "HOME": str(self.home), "PATH": f"{self.path}:{os.environ['PATH']}".lstrip(":")},
            cwd=self.home,
        )
        self._children.append(child)

        async def pump(source, sink):
            # asyncssh's own redirection loses output of a child that ends before its input was read.
            with contextlib.suppress(OSError, asyncssh.Error):
                while data := await source.read(1 << 16):
                    sink.write(data)
                    await sink.drain()

        async def pump_input():
            await pump(process.stdin, child.stdin)
            child.stdin.close()

        feeding = asyncio.ensure_future(pump_input())
        await asyncio.gather(pump(child.stdout, process.stdout), pump(child.stderr, process.stderr))
        code = await child.wait()
        process.exit(max(code, 0))
        await feeding

    def key_line(self, index=0):
        return self.host_keys[index].export_public_key().decode().strip()

    def close(self):
        async def stop():
            self._acceptor.close()
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0.05)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class Proxy:
    """Forwards a loopback port to another, `delay_s` later in each direction; can cut and go silent."""

    def __init__(self, port, delay_s=0.0):
        self.delay_s = delay_s
        self.silent = False
        self.refuse = False
        self.limit_bytes = None
        """Cut the connection after so many bytes to the server."""
        self._target = port
        self._pairs = []
        self._frozen = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                self._pump(source, sink, counted=source is client)

    def _pump(self, source, sink, counted):
        chunks, ready = [], threading.Condition()

        def receive():
            passed = 0
            while True:
                try:
                    data = source.recv(1 << 16)
                except OSError:
                    data = b""
                if data and (self.silent or source in self._frozen):
                    continue
                passed += len(data)
                if counted and self.limit_bytes is not None and passed > self.limit_bytes:
                    self.limit_bytes = None
                    self.cut()
                with ready:
                    chunks.append((time.monotonic() + self.delay_s, data))
                    ready.notify()
                if not data:
                    return

        def send():
            while True:
                with ready:
                    while not chunks:
                        ready.wait()
                    due, data = chunks.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)
                except OSError:
                    return

        for work in (receive, send):
            threading.Thread(target=work, daemon=True).start()

    def freeze(self):
        """Let nothing more through on the connections of now; new ones work."""
        self._frozen.update(end for pair in self._pairs for end in pair)

    def cut(self):
        """Drop all connections at once."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()

    def close(self):
        self._listener.close()
        self.cut()
