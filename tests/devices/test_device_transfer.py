"""Blobs up and files down: only what is missing, verified, atomic."""

import hashlib
import os

import pytest

from orchestrator.errors import ActionError, ConnectError, TransferError

MIB = 1 << 20


def blob(folder, name, size):
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_large_blob_goes_up_and_comes_down_the_same(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port)
    path, digest = blob(bench.folder, "weights.onnx", 50 * MIB)
    seen = []
    assert device.push_blob(path, digest, lambda done, total: seen.append((done, total))) == 50 * MIB
    assert seen[-1] == (50 * MIB, 50 * MIB)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert device.push_blob(path, digest) == 0, "the second time it is there"
    assert device.bytes_pushed == 50 * MIB
    back = bench.folder / "results" / "weights.onnx"
    assert device.fetch(f"{device.root}/blobs/{digest}", back, digest) == 50 * MIB
    assert back.read_bytes() == path.read_bytes()


def test_only_missing_blobs_are_pushed(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port)
    blobs = dict(blob(bench.folder, f"b{n}", size)[::-1] for n, size in enumerate([10, 100 * 1024, 102401, MIB]))
    first, *others = blobs
    device.push_missing({first: blobs[first]})
    seen = []
    pushed = device.push_missing(blobs, lambda done, total: seen.append((done, total)))
    assert pushed == {digest: blobs[digest].stat().st_size for digest in others}
    assert seen[-1] == (sum(pushed.values()),) * 2
    assert device.push_missing(blobs) == {}
    assert device.call("blob_missing", {"digests": sorted(blobs)}).data["missing"] == []


def test_a_blob_that_is_not_what_its_digest_says_is_refused(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port)
    wrong = "0" * 64
    for size in (1000, MIB):
        path, _ = blob(bench.folder, "wrong", size)
        with pytest.raises(ActionError, match="arrived damaged") as caught:
            device.push_blob(path, wrong)
        assert caught.value.device == "nano-01"
        assert device.call("blob_missing", {"digests": [wrong]}).data["missing"] == [wrong]
    assert device.bytes_pushed == 0


def test_a_file_that_arrives_wrong_is_not_kept(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port)
    source, digest = blob(bench.home, "engine", MIB)
    local = bench.folder / "engine"
    local.write_text("what was there before")
    with pytest.raises(TransferError, match="arrived wrong"):
        device.fetch(str(source), local, "f" * 64)
    with pytest.raises(TransferError, match="cannot read"):
        device.fetch(str(source) + ".missing", local, digest)
    assert local.read_text() == "what was there before"
    assert sorted(entry.name for entry in bench.folder.iterdir() if entry.name.startswith(".")) == []


def test_a_link_cut_in_an_upload_is_said_and_the_next_one_succeeds(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port)
    path, digest = blob(bench.folder, "weights.onnx", 8 * MIB)
    device.connect()
    proxy.limit_bytes = 2 * MIB
    with pytest.raises(ConnectError) as caught:
        device.push_blob(path, digest)
    assert caught.value.device == "nano-01"
    assert device.push_blob(path, digest) == 8 * MIB


def test_a_missing_local_file_is_named(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port)
    with pytest.raises(TransferError, match=r"cannot read .*gone\.bin"):
        device.push_blob(bench.folder / "gone.bin", "a" * 64)


def test_a_server_without_sftp_is_named(bench):
    server = bench.server(sftp=False)
    bench.trust(server)
    device = bench.device(server.port)
    path, digest = blob(bench.folder, "weights.onnx", MIB)
    with pytest.raises(TransferError) as caught:
        device.push_blob(path, digest)
    assert "sftp" in caught.value.remedy
    assert device.call("ping").data
