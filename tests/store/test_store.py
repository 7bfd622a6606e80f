"""Blobs that are whole or absent, records that are replaced in one step, digests that are never stale."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from orchestrator.errors import FleetError
from orchestrator.store import DigestCache, Store, digest_file
from orchestrator.store import digests as digests_module
from orchestrator.store.atomic import replacing


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def age(path: Path, seconds: float = 10) -> None:
    """Make a file old enough for its digest to be remembered (mtime; ctime follows by itself)."""
    past = time.time() - seconds
    os.utime(path, (past, past + 0.123))


def test_a_blob_is_named_by_its_content(store: Store, tmp_path: Path) -> None:
    content = b"weights" * 1000
    expected = hashlib.sha256(content).hexdigest()
    (tmp_path / "file").write_bytes(content)
    assert not store.has(expected)
    assert store.add_bytes(content) == expected
    assert store.add_file(tmp_path / "file") == expected
    assert store.path(expected).read_bytes() == content == store.read(expected, verify=True)
    assert store.size_bytes(expected) == len(content)


def test_a_file_is_copied_and_not_moved(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    digest = store.add_file(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"changed afterwards")
    assert store.read(digest, verify=True) == b"kept"


def test_a_damaged_blob_is_found_when_asked_and_removed(store: Store) -> None:
    digest = store.add_bytes(b"right")
    store.path(digest).write_bytes(b"wrong")
    assert store.read(digest) == b"wrong"
    with pytest.raises(FleetError, match="damaged"):
        store.verify(digest)
    assert not store.has(digest)
    with pytest.raises(FleetError, match="not in the store"):
        store.read(digest)
    assert store.add_bytes(b"right") == digest
    assert store.read(digest, verify=True) == b"right"


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")
    with pytest.raises(RuntimeError), replacing(target) as file:
        file.write(b"half of")
        raise RuntimeError
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_records_are_replaced_and_a_broken_one_counts_as_absent(store: Store) -> None:
    assert store.get("exports/abc") is None
    store.put("exports/abc", {"a": [1, 2]})
    store.put("exports/abc", {"a": [3]})
    assert store.get("exports/abc") == {"a": [3]}
    (store.directory / "records/exports/abc.json").write_text('{"a": [3')
    assert store.get("exports/abc") is None


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "", "a/../b", ".hidden"])
def test_a_record_cannot_leave_its_folder(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="record"):
        store.put(name, 1)


@pytest.mark.parametrize("digest", ["", "abc", "../" + "0" * 61, "G" * 64])
def test_what_is_no_digest_names_no_blob(store: Store, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.has(digest)


def test_many_threads_add_the_same_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(300_000))
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(store.add_file(tmp_path / "file"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert set(results) == {digest_file(tmp_path / "file")}
    store.verify(results[0])
    assert not list((store.directory / "scratch").iterdir())


class TestDigestCache:
    def test_an_unchanged_file_is_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reads = []
        real = digests_module.read_digest
        monkeypatch.setattr(digests_module, "read_digest", lambda path: reads.append(path) or real(path))
        monkeypatch.setattr(digests_module, "_settled", lambda status: True)
        (tmp_path / "weights").write_bytes(b"w" * 5000)
        first = DigestCache(tmp_path / "cache").digest(tmp_path / "weights")
        assert DigestCache(tmp_path / "cache").digest(tmp_path / "weights") == first == real(tmp_path / "weights")
        assert len(reads) == 1

    def test_same_size_and_restored_time_is_still_seen(self, tmp_path: Path) -> None:
        cache, path = DigestCache(tmp_path / "cache"), tmp_path / "weights"
        path.write_bytes(b"aaaa")
        age(path)
        time.sleep(0.15)
        before = cache.digest(path)
        times = path.stat()
        path.write_bytes(b"bbbb")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert path.stat().st_mtime_ns == times.st_mtime_ns
        assert cache.digest(path) == hashlib.sha256(b"bbbb").hexdigest() != before

    def test_a_file_written_just_now_is_not_remembered(self, tmp_path: Path) -> None:
        cache, path = DigestCache(tmp_path / "cache"), tmp_path / "weights"
        path.write_bytes(b"aaaa")
        cache.digest(path)
        assert not (tmp_path / "cache").exists()
        time.sleep(0.15)
        cache.digest(path)
        assert len(list((tmp_path / "cache").iterdir())) == 1

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            DigestCache(tmp_path).digest(tmp_path / "none")
