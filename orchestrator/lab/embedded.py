"""Serves a virtual device by asyncssh, inside the device and as the login user: commands, shells, SFTP."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Any

import asyncssh

from orchestrator.lab.enter import Server
from orchestrator.lab.root import inside

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def embedded_server(listener: socket.socket, user: str, password: str) -> Server:
    """A server for enter.start, for a socket that already listens."""

    def run(ready: Callable[[], None]) -> None:
        _look_for_modules_inside()
        os.chdir(f"/home/{user}")  # where SFTP starts
        asyncio.run(_serve(listener, user, password, ready))

    return Server(run, cut=lambda server: os.kill(server, signal.SIGUSR1))


def _look_for_modules_inside() -> None:
    """What Python imports from now on lies elsewhere: this process has the device's root."""
    sys.path[:] = [inside(folder) for folder in sys.path if os.path.isabs(folder)]
    for module in list(sys.modules.values()):
        folders = getattr(module, "__path__", None)
        if isinstance(folders, list):
            module.__path__ = [inside(folder) for folder in folders]
    sys.path_importer_cache.clear()


async def _serve(listener: socket.socket, user: str, password: str, ready: Callable[[], None]) -> None:
    connections: set[asyncssh.SSHServerConnection] = set()

    class Login(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self.conn = conn
            connections.add(conn)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.discard(self.conn)

        def begin_auth(self, username: str) -> bool:
            # Another name gets no keys, and no password fits it.
            with contextlib.suppress(OSError, ValueError):
                if username == user:
                    self.conn.set_authorized_keys(f"/home/{user}/.ssh/authorized_keys")
            return True

        def password_auth_supported(self) -> bool:
            return True

        def kbdint_auth_supported(self) -> bool:
            return False

        def validate_password(self, username: str, password_given: str) -> bool:
            return username == user and password_given == password

    def cut() -> None:
        for conn in list(connections):
            conn.abort()
        ready()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, cut)
    session = _Session(user)
    async with asyncssh.listen(
        sock=listener,
        server_factory=Login,
        server_host_keys=["/.lab/ssh/host_key"],
        process_factory=session.run,
        sftp_factory=True,
        allow_scp=True,
        encoding=None,
        line_editor=False,
        agent_forwarding=False,
        x11_forwarding=False,
        keepalive_interval=30,
        login_timeout=60,
        max_pktsize=65536,
        compression_algs=None,
        server_version="FleetLab",
    ):
        ready()
        await asyncio.Event().wait()


class _Session:
    """Runs what clients ask for as OpenSSH would: the login shell with -c, or the login shell itself."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.home = f"/home/{user}"

    async def run(self, process: Any) -> None:
        peer = process.get_extra_info("peername")
        local = process.get_extra_info("sockname")
        environment = {
            "USER": self.user,
            "LOGNAME": self.user,
            "HOME": self.home,
            "SHELL": "/bin/bash",
            "PATH": _PATH,
            "SSH_CLIENT": f"{peer[0]} {peer[1]} {local[1]}",
            "SSH_CONNECTION": f"{peer[0]} {peer[1]} {local[0]} {local[1]}",
        }
        environment.update({k: v for k, v in process.env.items() if k == "LANG" or k.startswith("LC_")})
        argv = ["-bash"] if process.command is None else ["bash", "-c", process.command]
        if process.term_type:
            environment["TERM"] = process.term_type
            code = await self._with_terminal(process, argv, environment)
        else:
            code = await self._with_pipes(process, argv, environment)
        if code < 0:
            process.exit_with_signal(signal.Signals(-code).name[3:])
        else:
            process.exit(code)

    async def _with_pipes(self, process: Any, argv: list[str], environment: dict[str, str]) -> int:
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            argv,
            executable="/bin/bash",
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=self.home,
            env=environment,
            start_new_session=True,
        )
        feeding = asyncio.ensure_future(_feed_pipe(process, child.stdin))
        # Like sshd: the channel stays open as long as anybody holds the command's output.
        reading = [_read_pipe(child.stdout, process.stdout), _read_pipe(child.stderr, process.stderr)]
        try:
            await asyncio.gather(*reading)
            code = await _ended(child)
        finally:
            feeding.cancel()
        return code

    async def _with_terminal(self, process: Any, argv: list[str], environment: dict[str, str]) -> int:
        master, slave = pty.openpty()
        _resize(master, process.term_size)
        environment["SSH_TTY"] = os.ttyname(slave)
        child = subprocess.Popen(
            argv,
            executable="/bin/bash",
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=self.home,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        pump = asyncio.ensure_future(_feed(process, master))
        loop = asyncio.get_running_loop()
        finished = asyncio.Event()

        def forward() -> None:
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: nobody has the terminal any more
                data = b""
            if data:
                process.stdout.write(data)
            else:
                loop.remove_reader(master)
                finished.set()

        loop.add_reader(master, forward)
        try:
            code = await _ended(child)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(finished.wait(), 1)
            return code
        finally:
            loop.remove_reader(master)
            pump.cancel()
            os.close(master)


async def _feed_pipe(process: Any, pipe: Any) -> None:
    """What the client sends, to a command's standard input, up to its end or the connection's."""
    loop = asyncio.get_running_loop()
    with contextlib.closing(pipe):
        os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(BrokenPipeError, asyncssh.Error, ConnectionError):
            while data := await _next_input(process):
                while data:
                    try:
                        data = data[os.write(pipe.fileno(), data) :]
                    except BlockingIOError:
                        await _until_ready(loop.add_writer, loop.remove_writer, pipe.fileno())


async def _next_input(process: Any) -> bytes:
    """The next bytes from the client; empty at the end."""
    while True:
        try:
            data: bytes = await process.stdin.read(65536)
            return data
        except (asyncssh.BreakReceived, asyncssh.SignalReceived, asyncssh.TerminalSizeChanged):
            continue


async def _read_pipe(pipe: Any, channel: Any) -> None:
    """A command's output to the client; when the connection is gone the command finds its pipe closed."""
    loop = asyncio.get_running_loop()
    with contextlib.closing(pipe):
        os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(BrokenPipeError, asyncssh.Error, ConnectionError):
            while True:
                try:
                    data = os.read(pipe.fileno(), 262144)
                except BlockingIOError:
                    await _until_ready(loop.add_reader, loop.remove_reader, pipe.fileno())
                    continue
                if not data:
                    return
                channel.write(data)
                await channel.drain()


async def _until_ready(watch: Callable[..., None], unwatch: Callable[[int], Any], descriptor: int) -> None:
    ready = asyncio.Event()
    watch(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(descriptor)


async def _feed(process: Any, master: int) -> None:
    """Keystrokes and window sizes from the client to the terminal."""
    while True:
        try:
            data = await process.stdin.read(65536)
        except asyncssh.TerminalSizeChanged as change:
            _resize(master, (change.width, change.height))
            continue
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            continue
        if not data:
            return
        os.write(master, data)


def _resize(master: int, size: tuple[int, ...]) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def _ended(child: subprocess.Popen[bytes]) -> int:
    """The exit code of a child, without a thread."""
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(child.pid)
    except OSError:  # before Linux 5.3
        while child.poll() is None:
            await asyncio.sleep(0.01)
        return child.returncode
    try:
        await _until_ready(loop.add_reader, loop.remove_reader, handle)
    finally:
        os.close(handle)
    return child.wait()
