"""A session: greeting through noise, many requests in flight, and every way in which it can end."""

import errno
import os
import sys
import time

import pytest
from fake_agent import broken_archive, fake_archive

from orchestrator.devices.archive import Archive, digest_of
from orchestrator.devices.session import RefusedError
from orchestrator.errors import ActionError, ConnectError, ProtocolError


def test_the_agent_is_brought_once_and_started_from_then_on(bench):
    server = bench.server()
    bench.trust(server)
    first = bench.device(server.port)
    assert first.call("ping").data["time"] == pytest.approx(time.time(), abs=60)
    assert first.agent_pushed
    first.close()
    second = bench.device(server.port)
    assert second.greeting["protocol"] == 1
    assert not second.agent_pushed
    digest = second.greeting["agent"]
    folder = bench.home / ".cache/fleet/agent" / digest / "device_agent"
    assert list(folder.glob("__pycache__/*.pyc")), "byte-compiled when unpacked"


def test_noise_before_the_agent_is_no_message(bench):
    noise = 'echo welcome; echo "{\\"id\\": 1}"; printf "no newline: "; echo warning >&2'
    server = bench.server(noise=noise, banner="*** authorised use only ***\n")
    bench.trust(server)
    assert bench.device(server.port).call("ping").data["time"] > 0


def test_requests_in_flight_share_a_round_trip(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive())
    device.call("echo")
    proxy.delay_s = 0.1  # 0.2 s there and back
    begun = time.monotonic()
    futures = [device.submit("echo", {"n": n}) for n in range(50)]
    answers = [future.result(10).data["args"]["n"] for future in futures]
    taken = time.monotonic() - begun
    assert answers == list(range(50))
    assert 0.2 <= taken < 0.4, "50 calls cost about one round trip"


def test_events_reach_their_own_request(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    seen = {1: [], 2: []}
    futures = [
        device.submit("events", {"n": 3}, on_event=lambda name, data, mine=mine: seen[mine].append((name, data["n"])))
        for mine in seen
    ]
    for future in futures:
        future.result(10)
    assert seen == {1: [("progress", 0), ("progress", 1), ("progress", 2)]} | {2: seen[1]}


def test_a_long_reply_arrives_whole(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    assert len(device.call("echo", {"size": 5_000_000}).data["x"]) == 5_000_000


def test_a_long_request_arrives_whole(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    assert device.call("echo", {"text": "ä" * 500_000}).data["args"]["text"] == "ä" * 500_000


def test_a_refusal_says_what_why_and_what_to_do(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port)
    with pytest.raises(RefusedError) as caught:
        device.call("blob_missing", {"digest": []})
    assert caught.value.kind == "refused"
    assert str(caught.value).startswith("nano-01: ")
    assert device.call("ping").data, "the session goes on"


def test_garbage_on_the_stream_is_shown(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    with pytest.raises(ProtocolError, match="no message") as caught:
        device.call("garbage")
    assert "Segmentation fault somewhere" in caught.value.why
    assert device.call("echo").data, "the next call has a session of its own"


def test_an_agent_that_dies_leaves_its_last_words(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    with pytest.raises(ConnectError) as caught:
        device.call("die")
    assert "exit status 3" in caught.value.why
    assert "out of luck" in caught.value.why


def test_a_deadline_ends_a_call(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    begun = time.monotonic()
    with pytest.raises(ActionError, match=r"sleep: no answer within 0\.5 s"):
        device.call("sleep", {"s": 30}, timeout_s=0.5)
    assert time.monotonic() - begun < 5
    assert device.call("echo").data


def test_a_link_cut_in_a_call_ends_it_at_once(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive())
    device.connect()
    pending = [device.submit("sleep", {"s": 30}), device.submit("echo")]
    time.sleep(0.2)
    begun = time.monotonic()
    proxy.cut()
    for future in pending:
        with pytest.raises(ConnectError, match="lost the session") as caught:
            future.result(10)
        assert caught.value.device == "nano-01"
    assert time.monotonic() - begun < 3
    assert device.call("echo").data, "the next call connects anew"


def test_a_link_that_goes_silent_is_noticed(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive(), keepalive_s=0.4)
    device.connect()
    future = device.submit("sleep", {"s": 3})
    assert future.result(10).data, "a busy device still answers keepalives"
    proxy.silent = True
    with pytest.raises(ConnectError) as caught:
        device.submit("echo").result(10)
    assert "no sign of life" in caught.value.why


def test_closing_a_device_ends_what_is_in_flight_and_stays_closed(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    future = device.submit("sleep", {"s": 30})
    device.close()
    with pytest.raises(ConnectError, match="closed"):
        future.result(5)
    with pytest.raises(ConnectError, match="closed"):
        device.call("echo")


def test_a_damaged_agent_is_not_used(bench):
    server = bench.server()
    bench.trust(server)
    with pytest.raises(ActionError, match="unpack") as caught:
        bench.device(server.port, archive=broken_archive()).connect()
    assert "damaged" in caught.value.why
    assert not [*(bench.home / ".cache/fleet/agent").iterdir()], "nothing is left behind"


def test_an_upload_of_the_agent_that_is_cut_leaves_no_half_agent(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    archive = fake_archive()
    # Incompressible, so that the cut falls in the middle of the archive.
    files = {**archive.files, "data.bin": os.urandom(400_000)}
    archive = Archive(files, digest_of(files))
    proxy.limit_bytes = 200_000
    device = bench.device(proxy.port, archive=archive)
    with pytest.raises(ConnectError):
        device.connect()
    assert not [*(bench.home / ".cache/fleet/agent").glob("[0-9a-f]*")]
    assert device.call("echo").data, "the second try succeeds"


@pytest.mark.parametrize(
    ("interpreter", "what", "remedy"),
    [
        ("/usr/bin/no-such-python", "no Python on the device", "ansible_python_interpreter"),
        ("OLD", "too old", "3.6 or newer"),
    ],
)
def test_a_python_that_will_not_do_is_named(bench, interpreter, what, remedy):
    if interpreter == "OLD":
        old = bench.folder / "python2"
        # Just the version of an old one; everything else it would do is the same.
        old.write_text(
            "#!/bin/sh\nshift\ncode='import sys;sys.version_info=(2,7,18);sys.argv=sys.argv[1:];"
            "import base64,zlib;exec(zlib.decompress(base64.b64decode(sys.argv[1])))'\nshift\n"
            f'exec {sys.executable} -c "$code" -c "$@"\n'
        )
        old.chmod(0o755)
        interpreter = str(old)
    server = bench.server()
    bench.trust(server)
    with pytest.raises(ActionError, match=what) as caught:
        bench.device(server.port, python_interpreter=interpreter).connect()
    assert remedy in caught.value.remedy


def test_a_home_that_cannot_be_written_is_named(bench):
    server = bench.server()
    bench.trust(server)
    (bench.home / ".cache").write_text("a file where the folder should be")
    with pytest.raises(ActionError, match="cannot put the agent") as caught:
        bench.device(server.port).connect()
    assert ".cache" in caught.value.why


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "own its home"),
        (errno.EIO, "home on the device"),
    ],
)
def test_what_is_wrong_with_a_home_has_its_remedy(bench, number, remedy):
    # An agent whose unpacking fails as it does on a full or read-only disk: the bootstrap's fsync is made to.
    bad = bench.folder / "python"
    bad.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"def fail(fd): raise OSError({number}, os.strerror({number}), '/home/nvidia/.cache')\n"
        "os.fsync = fail\nsys.argv = sys.argv[2:]\n"
        "import base64, zlib\nexec(zlib.decompress(base64.b64decode(sys.argv[1])))\n"
    )
    bad.chmod(0o755)
    server = bench.server()
    bench.trust(server)
    with pytest.raises(ActionError, match="cannot put the agent") as caught:
        bench.device(server.port, archive=fake_archive(), python_interpreter=str(bad)).connect()
    assert os.strerror(number) in caught.value.why
    assert remedy in caught.value.remedy
    assert not [*(bench.home / ".cache/fleet/agent").iterdir()], "nothing half unpacked stays"


def test_a_shell_that_refuses_is_quoted(bench):
    server = bench.server(noise="echo This account is currently not available.; exit 1")
    bench.trust(server)
    with pytest.raises(ActionError, match="does not start") as caught:
        bench.device(server.port).connect()
    assert "not available" in caught.value.why
    assert "exit status 1" in caught.value.why
