"""Files, folders, links and their attributes; what they are, and finding them."""

import base64
import hashlib
import os
import stat
import time

import pytest

pytestmark = pytest.mark.agent


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.fixture
def agent(start):
    return start()


def twice(agent, action, **args):
    """The reply of a change, after check mode foretold it and before a second call that changes nothing."""
    foretold = agent.ask(action, check=True, **args)
    assert foretold["ok"], foretold["error"]
    assert foretold["changed"]
    reply = agent.ask(action, **args)
    assert reply["ok"], reply["error"]
    assert reply["changed"]
    again = agent.ask(action, **args)
    assert again["ok"] and not again["changed"], again
    assert again["diff"] is None
    assert not agent.ask(action, check=True, **args)["changed"]
    return reply


def snapshot(folder):
    return sorted((str(path.relative_to(folder)), mode(path)) for path in folder.rglob("*"))


def test_a_folder_is_made_with_those_above_it(agent, tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    before = snapshot(top)
    assert agent.ask("file", check=True, path=str(top / "a/b"), state="directory", mode="0750")["changed"]
    assert snapshot(top) == before
    reply = twice(agent, "file", path=str(top / "a/b"), state="directory", mode="0750")
    assert snapshot(top) == [("a", 0o750), ("a/b", 0o750)]
    assert reply["data"]["state"] == "directory" and reply["data"]["mode"] == "0750"
    assert reply["data"]["uid"] == os.getuid() and reply["data"]["path"] == str(top / "a/b")
    assert "absent" in reply["diff"]["before"] and "directory" in reply["diff"]["after"]


MODES = [
    ("0644", 0o600, 0o644),
    ("644", 0o600, 0o644),
    (420, 0o600, 0o644),
    ("1777", 0o755, 0o1777),
    ("u=rw,g=r,o=r", 0o777, 0o644),
    ("u+x", 0o644, 0o744),
    ("a+x", 0o644, 0o755),
    ("go-rwx", 0o755, 0o700),
    ("g=u", 0o640, 0o660),
    ("o=", 0o644, 0o640),
    ("u=rwX,g=rX", 0o644, 0o644),
    ("a+X", 0o744, 0o755),
    ("u+s", 0o755, 0o4755),
    ("g+s,o+t", 0o755, 0o3755),
    ("u=rw-x+X,g=r-x+X,o=r-x+X", 0o644, 0o644),
]


@pytest.mark.parametrize("number", range(len(MODES)), ids=[str(case[0]) for case in MODES])
def test_modes_are_read_as_chmod_reads_them(agent, tmp_path, number):
    wanted, before, after = MODES[number]
    path = tmp_path / "file"
    path.touch()
    path.chmod(before)
    reply = agent.ask("file", path=str(path), mode=wanted)
    assert mode(path) == after
    assert reply["changed"] == (before != after)
    if before != after:
        assert reply["diff"]["before"] == f"mode: {before:04o}\n"


@pytest.mark.parametrize("wrong", ["rw", "0999", "u=q", "z+x", 99999, "-1"])
def test_a_mode_that_is_none_is_refused(agent, tmp_path, wrong):
    error = agent.refuse("file", path=str(tmp_path), mode=wrong)
    assert error["kind"] == "refused" and error["data"]["argument"] == "mode"


def test_absent_takes_files_links_and_whole_folders_away(agent, tmp_path):
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "folder/deep/file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert twice(agent, "file", path=str(tmp_path / "link"), state="absent")["data"]["state"] == "absent"
    assert (tmp_path / "folder/deep/file").exists()
    reply = twice(agent, "file", path=str(tmp_path / "folder"), state="absent")
    assert "deep/file" in reply["diff"]["before"]
    assert not (tmp_path / "folder").exists()


def test_touch_makes_a_file_and_always_counts_unless_times_are_kept(agent, tmp_path):
    path = tmp_path / "touched"
    kept = {"modification_time": "preserve", "access_time": "preserve"}
    assert agent.ask("file", check=True, path=str(path), state="touch")["changed"] and not path.exists()
    assert twice(agent, "file", path=str(path), state="touch", mode="0600", **kept)["data"]["dest"] == str(path)
    assert agent.ask("file", path=str(path), state="touch")["changed"]
    reply = agent.ask(
        "file", path=str(path), state="touch", modification_time="202001020304.05", access_time="preserve"
    )
    assert time.strftime("%Y%m%d%H%M.%S", time.localtime(path.stat().st_mtime)) == "202001020304.05"
    assert reply["changed"]
    assert "allowed" in agent.refuse("file", path=str(path), state="touch", access_time="noon")["why"]


def test_links(agent, tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    link = tmp_path / "link"
    reply = twice(agent, "file", path=str(link), state="link", src=str(tmp_path / "one"))
    assert reply["data"]["state"] == "link" and reply["data"]["src"] == str(tmp_path / "one")
    reply = twice(agent, "file", path=str(link), state="link", src="two")
    assert os.readlink(str(link)) == "two" and "two" in reply["diff"]["after"]
    missing = {"path": str(tmp_path / "dangling"), "state": "link", "src": "nowhere"}
    assert "src file does not exist" in agent.refuse("file", **missing)["what"]
    assert twice(agent, "file", force=True, **missing)["changed"]
    over = {"path": str(tmp_path / "one"), "state": "link", "src": "two"}
    assert "refusing to convert from file" in agent.refuse("file", **over)["what"]
    assert twice(agent, "file", force=True, **over)["changed"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    error = agent.refuse("file", path=str(tmp_path / "full"), state="link", src="../two", force=True)
    assert "not empty" in error["what"] and (tmp_path / "full/x").exists()


def test_hard_links(agent, tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "other").write_text("other")
    args = {"path": str(tmp_path / "hard"), "state": "hard", "src": str(tmp_path / "one")}
    assert twice(agent, "file", **args)["data"]["state"] == "hard"
    assert (tmp_path / "hard").samefile(tmp_path / "one")
    args["path"] = str(tmp_path / "other")
    assert "Cannot link" in agent.refuse("file", **args)["what"]
    twice(agent, "file", force=True, **args)
    assert (tmp_path / "other").samefile(tmp_path / "one")


def test_attributes_of_a_whole_tree(agent, tmp_path):
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "sub/file").touch()
    (tmp_path / "outside").touch()
    (tmp_path / "outside").chmod(0o600)
    (top / "link").symlink_to(tmp_path / "outside")
    for path in (top, top / "sub", top / "sub/file"):
        path.chmod(0o700)
    twice(agent, "file", path=str(top), state="directory", recurse=True, mode="u=rwX,g=rX,o=", follow=False)
    assert snapshot(top)[1:] == [("sub", 0o750), ("sub/file", 0o750)]
    assert mode(tmp_path / "outside") == 0o600
    twice(agent, "file", path=str(top), state="directory", recurse=True, mode="0770")
    assert mode(tmp_path / "outside") == 0o770


def test_a_file_is_not_made_by_its_attributes(agent, tmp_path):
    error = agent.refuse("file", path=str(tmp_path / "none"), state="file", mode="0600")
    assert "is absent, cannot continue" in error["what"] and "touch" in error["remedy"]
    error = agent.refuse("file", path=str(tmp_path), state="file")
    assert "is directory, cannot continue" in error["what"]
    (tmp_path / "file").touch()
    assert "already exists as a file" in agent.refuse("file", path=str(tmp_path / "file"), state="directory")["what"]
    error = agent.refuse("file", path=str(tmp_path / "file"), owner="no-such-user")
    assert error["what"] == "there is no user no-such-user"
    assert agent.ask("file", check=True, path=str(tmp_path / "file"), owner="no-such-user")["changed"]


def test_owners_are_set_by_name_and_by_number(start_as_root, tmp_path):
    agent = start_as_root()
    path = tmp_path / "owned"
    path.touch()
    assert not agent.ask("file", path=str(path), owner="root", group="0")["changed"]
    assert agent.call("file", path=str(path), owner="root")["owner"] == "root"


def test_a_prefix_stands_for_the_device_s_root(start, tmp_path):
    device = tmp_path / "device"
    (device / "etc").mkdir(parents=True)
    agent = start(prefix=device)
    content = base64.b64encode(b"board\n").decode()
    assert agent.call("copy", dest="/etc/hostname", content_base64=content)["dest"] == "/etc/hostname"
    agent.call("lineinfile", path="/etc/hostname", line="two", backup=True)
    assert (device / "etc/hostname").read_text() == "board\ntwo\n"
    assert agent.call("stat", path="/etc/hostname")["stat"]["path"] == "/etc/hostname"
    assert agent.call("find", paths=["/etc"], patterns=["hostname"])["files"][0]["path"] == "/etc/hostname"


def test_stat_tells_what_ansible_tells(agent, tmp_path):
    path = tmp_path / "file"
    path.write_text("hello\n")
    path.chmod(0o640)
    told = agent.call("stat", path=str(path))["stat"]
    expected = {"exists": True, "isreg": True, "isdir": False, "islnk": False, "mode": "0640", "size": 6, "nlink": 1}
    expected.update(rusr=True, wusr=True, xusr=False, rgrp=True, woth=False, isuid=False, readable=True)
    assert {key: told[key] for key in expected} == expected
    assert told["checksum"] == hashlib.sha1(b"hello\n").hexdigest()
    assert told["inode"] == path.stat().st_ino and abs(told["mtime"] - path.stat().st_mtime) < 1e-3
    assert {"mimetype", "charset", "version", "attributes", "attr_flags", "pw_name", "blocks", "device_type"} <= set(
        told
    )
    bare = agent.call("stat", path=str(path), get_mime=False, get_attributes=False, get_checksum=False)["stat"]
    assert not {"mimetype", "attributes", "checksum"} & set(bare)
    sha256 = agent.call("stat", path=str(path), checksum_algorithm="sha256")["stat"]["checksum"]
    assert sha256 == hashlib.sha256(b"hello\n").hexdigest()
    (tmp_path / "link").symlink_to("file")
    told = agent.call("stat", path=str(tmp_path / "link"))["stat"]
    assert told["islnk"] and told["lnk_target"] == "file" and told["lnk_source"] == str(path)
    assert agent.call("stat", path=str(tmp_path / "link"), follow=True)["stat"]["isreg"]
    assert agent.call("stat", path=str(tmp_path / "none")) == {"stat": {"exists": False}}
    assert agent.call("stat", path=str(path / "below")) == {"stat": {"exists": False}}


@pytest.fixture
def tree(tmp_path):
    top = tmp_path / "tree"
    (top / "sub/deep").mkdir(parents=True)
    for name, size in (("a.log", 10), ("b.txt", 2000), (".hidden.log", 1), ("sub/c.log", 3000), ("sub/deep/d.log", 5)):
        (top / name).write_text("x" * size + "\n")
    (top / "b.txt").write_text("first\nsecond line\n" + "y" * 3000)
    (top / "link.log").symlink_to("a.log")
    old = time.time() - 3 * 86400
    os.utime(str(top / "sub/c.log"), (old, old))
    (top / "a.log").chmod(0o600)
    return top


SEARCHES = [
    ({}, ["a.log", "b.txt"]),
    ({"patterns": ["*.log"]}, ["a.log"]),
    ({"patterns": ["*.log"], "recurse": True}, ["a.log", "sub/c.log", "sub/deep/d.log"]),
    ({"patterns": ["*.log"], "recurse": True, "depth": 2}, ["a.log", "sub/c.log"]),
    ({"patterns": ["*.log"], "hidden": True}, [".hidden.log", "a.log"]),
    ({"patterns": ["*"], "excludes": ["*.txt"]}, ["a.log"]),
    ({"patterns": ["[ab]\\..*"], "use_regex": True}, ["a.log", "b.txt"]),
    ({"file_type": "directory", "recurse": True}, ["sub", "sub/deep"]),
    ({"file_type": "link"}, ["link.log"]),
    ({"file_type": "any"}, ["a.log", "b.txt", "link.log", "sub"]),
    ({"age": "2d", "recurse": True}, ["sub/c.log"]),
    ({"age": "-2d", "recurse": True, "patterns": ["?.log"]}, ["a.log", "sub/deep/d.log"]),
    ({"size": "2k", "recurse": True}, ["b.txt", "sub/c.log"]),
    ({"size": "-1k", "recurse": True}, ["a.log", "sub/deep/d.log"]),
    ({"contains": "second"}, ["b.txt"]),
    ({"contains": "line"}, []),
    ({"contains": "line", "read_whole_file": True}, ["b.txt"]),
    ({"mode": "0600"}, ["a.log"]),
    ({"mode": "0044", "exact_mode": False}, ["b.txt"]),
]


@pytest.mark.parametrize("number", range(len(SEARCHES)))
def test_find(agent, tree, number):
    args, expected = SEARCHES[number]
    (tree / "b.txt").chmod(0o644)
    data = agent.call("find", paths=[str(tree)], **args)
    assert sorted(os.path.relpath(entry["path"], str(tree)) for entry in data["files"]) == expected
    assert data["matched"] == len(expected) and data["examined"] >= 5 and data["skipped_paths"] == {}


def test_find_says_what_it_could_not_look_at(agent, tree):
    data = agent.call("find", paths=[str(tree), str(tree / "none")], limit=1, get_checksum=True)
    assert data["matched"] == 1 and len(data["files"][0]["checksum"]) == 40
    data = agent.call("find", paths=[str(tree / "none")])
    assert "is not a directory" in data["skipped_paths"][str(tree / "none")] and "Not all paths" in data["msg"]
    assert agent.refuse("find", paths=[str(tree)], age="old")["data"]["argument"] == "age"


def test_slurp_reads_whole_files_and_pieces(agent, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)))
    data = agent.call("slurp", src=str(path))
    assert base64.b64decode(data["content"]) == bytes(range(256))
    assert (data["encoding"], data["source"]) == ("base64", str(path))
    piece = agent.call("slurp", src=str(path), offset=0, limit=10)
    assert base64.b64decode(piece["content"]) == bytes(range(10))
    assert piece["size_bytes"] == 256 and piece["sha1"] == hashlib.sha1(bytes(range(256))).hexdigest()
    assert "File not found" in agent.refuse("slurp", src=str(tmp_path / "none"))["what"]
    assert "is a directory" in agent.refuse("slurp", src=str(tmp_path))["what"]
