"""A blob is whole and right, or it is not there."""

import base64
import hashlib
import os

import pytest

pytestmark = pytest.mark.agent

CONTENT = os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_an_upload_becomes_a_blob_once_its_hash_is_right(start, tmp_path):
    agent = start()
    assert agent.call("blob_missing", digests=[DIGEST]) == {"missing": [DIGEST]}
    path = agent.call("blob_prepare", digest=DIGEST, size_bytes=len(CONTENT))["path"]
    with open(path, "wb") as stream:
        stream.write(CONTENT)
    assert agent.call("blob_missing", digests=[DIGEST]) == {"missing": [DIGEST]}
    reply = agent.ask("blob_commit", digest=DIGEST)
    assert reply["changed"] and reply["data"]["size_bytes"] == len(CONTENT)
    assert (tmp_path / "root/blobs" / DIGEST).read_bytes() == CONTENT
    assert not os.path.exists(path)
    assert agent.call("blob_missing", digests=[DIGEST]) == {"missing": []}
    assert not agent.ask("blob_commit", digest=DIGEST)["changed"]


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT + b"x", b"", b"\0" + CONTENT[1:]])
def test_a_damaged_upload_is_removed_and_refused(start, tmp_path, damaged):
    agent = start()
    path = agent.call("blob_prepare", digest=DIGEST, size_bytes=len(CONTENT))["path"]
    with open(path, "wb") as stream:
        stream.write(damaged)
    error = agent.refuse("blob_commit", digest=DIGEST)
    assert error["kind"] == "refused" and "damaged" in error["what"]
    assert error["data"]["sha256"] == hashlib.sha256(damaged).hexdigest()
    assert os.listdir(tmp_path / "root/blobs") == []


def test_a_commit_without_an_upload_says_so(start):
    assert "not uploaded" in start().refuse("blob_commit", digest=DIGEST)["what"]


def test_a_half_upload_is_dropped_by_the_next_prepare(start):
    agent = start()
    path = agent.call("blob_prepare", digest=DIGEST, size_bytes=9)["path"]
    with open(path, "wb") as stream:
        stream.write(b"half")
    assert agent.call("blob_prepare", digest=DIGEST, size_bytes=9)["path"] == path
    assert not os.path.exists(path)


def test_a_disk_without_room_is_refused_before_the_upload(start, tmp_path):
    error = start().refuse("blob_prepare", digest=DIGEST, size_bytes=1 << 60)
    assert "room" in error["what"] and error["data"]["needed"] > error["data"]["free"] > 0
    assert not (tmp_path / "root").exists()


def test_a_small_blob_rides_in_the_call(start, tmp_path):
    agent = start()
    content = CONTENT[:100_000]
    digest = hashlib.sha256(content).hexdigest()
    encoded = base64.b64encode(content).decode()
    assert agent.ask("blob_write", check=True, digest=digest, content=encoded)["changed"]
    assert not (tmp_path / "root").exists()
    assert agent.ask("blob_write", digest=digest, content=encoded)["changed"]
    assert not agent.ask("blob_write", digest=digest, content=encoded)["changed"]
    assert (tmp_path / "root/blobs" / digest).read_bytes() == content
    assert "damaged" in agent.refuse("blob_write", digest=DIGEST, content=encoded)["what"]
    large = base64.b64encode(CONTENT).decode()
    assert "too large" in agent.refuse("blob_write", digest=DIGEST, content=large)["what"]


def test_files_are_read_in_pieces_and_only_under_the_root(start, tmp_path):
    agent = start()
    (tmp_path / "root/jobs").mkdir(parents=True)
    (tmp_path / "root/jobs/log").write_bytes(CONTENT)
    (tmp_path / "root/jobs/escape").symlink_to("/etc/hostname")
    piece = agent.call("file_read", path="jobs/log", offset=100, limit=50)
    assert base64.b64decode(piece["content"]) == CONTENT[100:150]
    assert (piece["size_bytes"], piece["sha256"]) == (len(CONTENT), DIGEST)
    assert base64.b64decode(agent.call("file_read", path=str(tmp_path / "root/jobs/log"))["content"]) == CONTENT
    assert "outside" in agent.refuse("file_read", path="jobs/escape")["what"]
    assert "no file" in agent.refuse("file_read", path="jobs/nothing")["what"]
