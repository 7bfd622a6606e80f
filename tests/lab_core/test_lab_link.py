"""The proxy that makes links bad does what it says, measured on a plain echo server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import paramiko
import pytest
from lab_clients import run

from orchestrator.lab.delay import Link


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    server = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    client.sendall(data)
            except OSError:
                pass

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def connect(link: Link) -> socket.socket:
    return socket.create_connection(link.address, timeout=5)


def test_delay_adds_twice_to_the_round_trip_and_not_to_the_volume(echo):
    with Link(*echo, delay_s=0.05) as link, connect(link) as client:
        start = time.perf_counter()
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert 0.1 <= time.perf_counter() - start < 0.3
        start = time.perf_counter()
        threading.Thread(target=client.sendall, args=(b"y" * 2_000_000,)).start()
        got = 0
        while got < 2_000_000:
            got += len(client.recv(65536))
        assert time.perf_counter() - start < 2, "many blocks must be under way at once"


def test_the_end_of_the_stream_is_carried(echo):
    with Link(*echo) as link, connect(link) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while data := client.recv(100):
            received += data
        assert received == b"last words"


def test_cut_resets_what_is_open_and_takes_what_is_new(echo):
    with Link(*echo) as link:
        with connect(link) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            link.cut()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        with connect(link) as client:
            client.sendall(b"again")
            assert client.recv(5) == b"again"
        assert link.connections == 2


def test_refuse_and_silence(echo):
    with Link(*echo) as link:
        link.refuse()
        with pytest.raises(ConnectionResetError), connect(link) as client:
            client.recv(1)
        link.refuse(False)
        with connect(link) as client:
            link.silence()
            client.settimeout(0.3)
            client.sendall(b"x")
            with pytest.raises(TimeoutError):
                client.recv(1)


def test_ssh_over_a_slow_link_that_is_cut(nano):
    endpoint = nano.endpoint
    with Link(endpoint.host, endpoint.port, delay_s=0.05) as link:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        settings = {"key_filename": endpoint.key_file, "allow_agent": False, "look_for_keys": False}
        client.connect(*link.address, username=endpoint.user, **settings)
        start = time.perf_counter()
        assert run(client, "echo slow")[1] == "slow\n"
        assert time.perf_counter() - start >= 0.2, "a channel and a command: two round trips at least"
        link.cut()
        deadline = time.monotonic() + 5
        while client.get_transport().is_active() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not client.get_transport().is_active()
