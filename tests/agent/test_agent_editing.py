"""Lines, blocks and replacements in text files; the content of files that a task brings."""

import base64
import hashlib
import os

import pytest

pytestmark = pytest.mark.agent

LINES = [
    # (file before, arguments, file after; None for unchanged)
    ("a\n", {"line": "b"}, "a\nb\n"),
    ("a", {"line": "b"}, "a\nb\n"),
    ("a\nb\n", {"line": "b"}, None),
    ("a\nb", {"line": "b"}, "a\nb\n"),
    ("", {"line": "b"}, "b\n"),
    ("a\nc\n", {"line": "b", "insertafter": "^a"}, "a\nb\nc\n"),
    ("a\na\nc\n", {"line": "b", "insertafter": "^a"}, "a\na\nb\nc\n"),
    ("a\na\nc\n", {"line": "b", "insertafter": "^a", "firstmatch": True}, "a\nb\na\nc\n"),
    ("a\nc", {"line": "b", "insertafter": "^c"}, "a\nc\nb\n"),
    ("a\nc\n", {"line": "b", "insertbefore": "^c"}, "a\nb\nc\n"),
    ("a\nc\n", {"line": "b", "insertbefore": "BOF"}, "b\na\nc\n"),
    ("a\nc\n", {"line": "b", "insertbefore": "^z"}, "a\nc\nb\n"),
    ("x=1\ny=2\nx=3\n", {"line": "x=9", "regexp": "^x="}, "x=1\ny=2\nx=9\n"),
    ("x=1\ny=2\nx=3\n", {"line": "x=9", "regexp": "^x=", "firstmatch": True}, "x=9\ny=2\nx=3\n"),
    ("x=9\n", {"line": "x=9", "regexp": "^x="}, None),
    ("y=2\n", {"line": "x=9", "regexp": "^x="}, "y=2\nx=9\n"),
    ("x=9\ny=2\n", {"line": "x=9", "regexp": "^z="}, None),
    ("a.c\nabc\n", {"line": "new", "search_string": "a.c"}, "new\nabc\n"),
    ("port 22\n", {"line": "\\1 2222", "regexp": "^(port) .*", "backrefs": True}, "port 2222\n"),
    ("host x\n", {"line": "\\1 2222", "regexp": "^(port) .*", "backrefs": True}, None),
    ("a\nb\na\n", {"line": "a", "state": "absent"}, "b\n"),
    ("ab\nac\nd\n", {"regexp": "^a", "state": "absent"}, "d\n"),
    ("a.\nab\n", {"search_string": "a.", "state": "absent"}, "ab\n"),
    ("b\n", {"line": "a", "state": "absent"}, None),
    ("a\r\nb\r\n", {"line": "a"}, "a\nb\r\n"),
    ("grüße\n", {"line": "größe", "regexp": "^grü"}, "größe\n"),
]


@pytest.mark.parametrize("number", range(len(LINES)))
def test_lineinfile(start, tmp_path, number):
    before, args, after = LINES[number]
    agent = start()
    path = tmp_path / "file"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    foretold = agent.ask("lineinfile", check=True, path=str(path), **args)
    assert path.read_bytes() == before.encode()
    reply = agent.ask("lineinfile", path=str(path), **args)
    assert reply["changed"] == foretold["changed"] == (after is not None), reply
    assert path.read_bytes().decode() == (before if after is None else after)
    assert path.stat().st_mode & 0o777 == 0o640
    assert reply["diff"] == foretold["diff"]
    if after is not None:
        assert (reply["diff"]["before"], reply["diff"]["after"]) == (before, after)
        assert reply["data"]["msg"] and not agent.ask("lineinfile", path=str(path), **args)["changed"]


def test_lineinfile_makes_its_file_only_where_asked_to(start, tmp_path):
    agent = start()
    path = tmp_path / "new/deep/file"
    assert "does not exist" in agent.refuse("lineinfile", path=str(path), line="x")["what"]
    args = {"path": str(path), "line": "x", "create": True, "mode": "0600"}
    assert agent.ask("lineinfile", check=True, **args)["changed"] and not path.parent.exists()
    assert agent.call("lineinfile", **args) == {"msg": "line added", "backup": ""}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "x\n" and not agent.ask("lineinfile", **args)["changed"]
    reply = agent.ask("lineinfile", path=str(tmp_path / "none"), line="x", state="absent")
    assert not reply["changed"] and reply["data"] == {"msg": "file not present"}
    assert "is a directory" in agent.refuse("lineinfile", path=str(tmp_path), line="x")["what"]


@pytest.mark.parametrize(
    "args",
    [
        {"state": "absent"},
        {},
        {"line": "x", "insertafter": "a", "insertbefore": "b"},
        {"line": "x", "regexp": "a", "search_string": "b"},
        {"line": "x", "backrefs": True},
        {"line": "x", "regexp": "("},
    ],
)
def test_lineinfile_refuses_what_makes_no_sense(start, tmp_path, args):
    (tmp_path / "file").write_text("a\n")
    assert start().refuse("lineinfile", path=str(tmp_path / "file"), **args)["kind"] == "refused"
    assert (tmp_path / "file").read_text() == "a\n"


def test_a_backup_is_kept_and_links_stay_links(start, tmp_path):
    agent = start()
    (tmp_path / "real").write_text("a\n")
    (tmp_path / "link").symlink_to("real")
    data = agent.call("lineinfile", path=str(tmp_path / "link"), line="b", backup=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "a\nb\n"
    with open(data["backup"]) as kept:
        assert kept.read() == "a\n"
    assert data["backup"].startswith(str(tmp_path / "link.")) and data["backup"].endswith("~")
    assert agent.call("lineinfile", path=str(tmp_path / "link"), line="b", backup=True)["backup"] == ""


def test_a_validator_guards_the_file(start, tmp_path):
    agent = start()
    path = tmp_path / "file"
    path.write_text("good\n")
    error = agent.refuse("lineinfile", path=str(path), line="bad", validate="sh -c '! grep -n bad $0' %s")
    assert "failed to validate: rc:1" in error["what"] and error["data"]["stdout"].endswith("bad\n")
    assert path.read_text() == "good\n"
    assert agent.call("lineinfile", path=str(path), line="fine", validate="grep -q fine %s")["msg"] == "line added"
    assert "must contain %s" in agent.refuse("lineinfile", path=str(path), line="x", validate="true")["what"]
    assert [name for name in os.listdir(str(tmp_path)) if name.endswith(".tmp")] == []


BEGIN, END = "# BEGIN ANSIBLE MANAGED BLOCK\n", "# END ANSIBLE MANAGED BLOCK\n"
BLOCKS = [
    ("a\n", {"block": "x\ny"}, "a\n" + BEGIN + "x\ny\n" + END),
    ("a", {"block": "x\n"}, "a\n" + BEGIN + "x\n" + END),
    ("a\n" + BEGIN + "x\n" + END + "b\n", {"block": "x"}, None),
    ("a\n" + BEGIN + "x\n" + END + "b\n", {"block": "z"}, "a\n" + BEGIN + "z\n" + END + "b\n"),
    ("a\n" + BEGIN + "x\n" + END + "b\n", {"block": ""}, "a\nb\n"),
    ("a\n" + BEGIN + "x\n" + END + "b\n", {"state": "absent"}, "a\nb\n"),
    ("a\nb\n", {"block": "x", "insertafter": "^a"}, "a\n" + BEGIN + "x\n" + END + "b\n"),
    ("a\nb\n", {"block": "x", "insertbefore": "^b"}, "a\n" + BEGIN + "x\n" + END + "b\n"),
    ("a\nb\n", {"block": "x", "insertbefore": "BOF"}, BEGIN + "x\n" + END + "a\nb\n"),
    ("a\nb\n", {"block": "x", "insertafter": "^z"}, "a\nb\n" + BEGIN + "x\n" + END),
    (
        "a\nb\n",
        {"block": "x", "marker": "<!-- {mark} -->", "insertafter": "a"},
        "a\n<!-- BEGIN -->\nx\n<!-- END -->\nb\n",
    ),
    ("a\n", {"block": "x", "marker_begin": "1", "marker_end": "2", "marker": "#{mark}"}, "a\n#1\nx\n#2\n"),
    (
        "a\nb\n",
        {"block": "x", "insertafter": "^a", "prepend_newline": True, "append_newline": True},
        "a\n\n" + BEGIN + "x\n" + END + "\nb\n",
    ),
]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blockinfile(start, tmp_path, number):
    before, args, after = BLOCKS[number]
    agent = start()
    path = tmp_path / "file"
    path.write_text(before)
    assert agent.ask("blockinfile", check=True, path=str(path), **args)["changed"] == (after is not None)
    assert path.read_text() == before
    reply = agent.ask("blockinfile", path=str(path), **args)
    assert path.read_text() == (before if after is None else after)
    assert reply["changed"] == (after is not None)
    assert not agent.ask("blockinfile", path=str(path), **args)["changed"]


def test_blockinfile_makes_its_file_and_minds_its_mode(start, tmp_path):
    agent = start()
    path = tmp_path / "new"
    assert "does not exist" in agent.refuse("blockinfile", path=str(path), block="x")["what"]
    reply = agent.ask("blockinfile", path=str(path), block="x", create=True, mode="0600")
    assert reply["data"]["msg"] == "File created" and path.read_text() == BEGIN + "x\n" + END
    reply = agent.ask("blockinfile", path=str(path), block="x", mode="0644")
    assert reply["changed"] and reply["data"]["msg"] == "ownership, perms or SE linux context changed"
    assert reply["diff"]["before"] == "mode: 0600\n"


REPLACEMENTS = [
    ("a=1\nb=1\n", {"regexp": "=1$", "replace": "=2"}, "a=2\nb=2\n", "2 replacements made"),
    ("a=1\n", {"regexp": "=2"}, None, ""),
    ("a=1\n", {"regexp": "(a)=1", "replace": "\\1=\\g<1>"}, "a=a\n", "1 replacements made"),
    ("[x]\nk=1\n[y]\nk=1\n", {"regexp": "k=1", "replace": "k=2", "after": "\\[y\\]"}, "[x]\nk=1\n[y]\nk=2\n", "1 "),
    ("[x]\nk=1\n[y]\nk=1\n", {"regexp": "k=1", "replace": "k=2", "before": "\\[y\\]"}, "[x]\nk=2\n[y]\nk=1\n", "1 "),
    ("s\nk\ne\nk\n", {"regexp": "k", "replace": "q", "after": "s", "before": "e"}, "s\nq\ne\nk\n", "1 "),
    ("k\n", {"regexp": "k", "after": "nowhere"}, None, "Pattern for before/after params did not match"),
]


@pytest.mark.parametrize("number", range(len(REPLACEMENTS)))
def test_replace(start, tmp_path, number):
    before, args, after, said = REPLACEMENTS[number]
    agent = start()
    path = tmp_path / "file"
    path.write_text(before)
    assert agent.ask("replace", check=True, path=str(path), **args)["changed"] == (after is not None)
    reply = agent.ask("replace", path=str(path), **args)
    assert path.read_text() == (before if after is None else after)
    assert reply["changed"] == (after is not None) and said in reply["data"]["msg"]


def put(agent, path, text, check=False, **args):
    content = base64.b64encode(text.encode()).decode()
    return agent.ask("copy", check=check, dest=str(path), content_base64=content, **args)


def test_copy_writes_what_differs(start, tmp_path):
    agent = start()
    path = tmp_path / "file"
    assert put(agent, path, "one\n", check=True)["changed"] and not path.exists()
    reply = put(agent, path, "one\n", mode="u=rw,go=")
    assert reply["changed"] and path.read_text() == "one\n" and path.stat().st_mode & 0o777 == 0o600
    data = reply["data"]
    assert (
        data["checksum"] == hashlib.sha1(b"one\n").hexdigest() and data["md5sum"] == hashlib.md5(b"one\n").hexdigest()
    )
    assert (data["dest"], data["state"], data["size"], data["mode"]) == (str(path), "file", 4, "0600")
    assert not put(agent, path, "one\n")["changed"]
    reply = put(agent, path, "one\n", mode="0644")
    assert reply["changed"] and reply["diff"]["after"] == "mode: 0644\n"
    reply = put(agent, path, "two\n", backup=True)
    assert (reply["diff"]["before"], reply["diff"]["after"]) == ("one\n", "two\n")
    with open(reply["data"]["backup_file"]) as kept:
        assert kept.read() == "one\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert not put(agent, path, "three\n", force=False)["changed"] and path.read_text() == "two\n"


def test_copy_into_folders(start, tmp_path):
    agent = start()
    (tmp_path / "there").mkdir()
    assert put(agent, tmp_path / "there", "x", name="n.txt")["data"]["dest"] == str(tmp_path / "there/n.txt")
    args = {"name": "n.txt", "directory_mode": "0750"}
    assert put(agent, str(tmp_path) + "/made/deep/", "x", check=True, **args)["changed"]
    assert not (tmp_path / "made").exists()
    put(agent, str(tmp_path) + "/made/deep/", "x", **args)
    assert (tmp_path / "made/deep/n.txt").read_text() == "x" and (tmp_path / "made").stat().st_mode & 0o777 == 0o750
    reply = put(agent, tmp_path / "none/file", "x")
    assert "Destination directory" in reply["error"]["what"]


def test_copy_and_links(start, tmp_path):
    agent = start()
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    put(agent, tmp_path / "link", "new", follow=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    put(agent, tmp_path / "link", "other")
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_copy_of_large_content_comes_as_a_blob(start, tmp_path):
    agent = start()
    content = os.urandom(300000)
    digest = hashlib.sha256(content).hexdigest()
    error = agent.refuse("copy", dest=str(tmp_path / "big"), blob=digest)
    assert "is not on the device" in error["what"]
    with open(agent.call("blob_prepare", digest=digest, size_bytes=len(content))["path"], "wb") as stream:
        stream.write(content)
    agent.call("blob_commit", digest=digest)
    reply = agent.ask("copy", dest=str(tmp_path / "big"), blob=digest)
    assert reply["changed"] and (tmp_path / "big").read_bytes() == content
    assert "too large to show" in reply["diff"]["after"]
    sha1 = hashlib.sha1(content).hexdigest()
    assert not agent.ask("copy", dest=str(tmp_path / "big"), sha1=sha1)["changed"]
    assert agent.ask("copy", check=True, dest=str(tmp_path / "other"), sha1=sha1)["changed"]


def test_copy_checks_its_checksum_and_its_validator(start, tmp_path):
    reply = put(start(), tmp_path / "file", "x", checksum="0" * 40)
    assert "does not match the expected checksum" in reply["error"]["what"]
    reply = put(start(), tmp_path / "file", "x", validate="grep y %s")
    assert "failed to validate" in reply["error"]["what"] and not (tmp_path / "file").exists()


def test_copy_of_a_whole_tree(start, tmp_path):
    agent = start()

    def entry(path, text, **more):
        raw = text.encode()
        return dict(
            path=path, sha1=hashlib.sha1(raw).hexdigest(), content_base64=base64.b64encode(raw).decode(), **more
        )

    args = {
        "dest": str(tmp_path / "to"),
        "files": [entry("a", "1"), entry("sub/b", "2", mode=0o700)],
        "folders": ["sub", "empty"],
        "links": [{"path": "sub/l", "src": "../a"}],
        "mode": "0640",
        "directory_mode": "0755",
    }
    assert agent.ask("copy", check=True, **args)["changed"] and not (tmp_path / "to").exists()
    assert agent.ask("copy", **args)["changed"]
    made = {
        str(path.relative_to(tmp_path / "to")): oct(path.lstat().st_mode & 0o777)
        for path in (tmp_path / "to").rglob("*")
    }
    assert made == {"a": "0o640", "sub": "0o755", "sub/b": "0o700", "sub/l": made["sub/l"], "empty": "0o755"}
    assert os.readlink(str(tmp_path / "to/sub/l")) == "../a"
    assert not agent.ask("copy", **args)["changed"]


def test_copy_on_the_device_itself(start, tmp_path):
    agent = start()
    (tmp_path / "from/sub").mkdir(parents=True)
    (tmp_path / "from/x").write_text("x")
    (tmp_path / "from/x").chmod(0o755)
    (tmp_path / "from/sub/y").write_text("y")
    (tmp_path / "to").mkdir()
    args = {"remote_src": True, "src": str(tmp_path / "from/x"), "dest": str(tmp_path / "x")}
    assert agent.ask("copy", **args)["changed"] and (tmp_path / "x").stat().st_mode & 0o777 == 0o755
    assert not agent.ask("copy", **args)["changed"]
    for source, dest, made in (
        ("from", "to", "to/from/sub/y"),
        ("from/", "to", "to/sub/y"),
        ("from/", "as/", "as/sub/y"),
    ):
        args = {
            "remote_src": True,
            "src": os.path.join(str(tmp_path), source),
            "dest": os.path.join(str(tmp_path), dest),
        }
        assert agent.ask("copy", check=True, **args)["changed"] and not (tmp_path / made).exists()
        assert agent.ask("copy", **args)["changed"] and (tmp_path / made).read_text() == "y"
        assert not agent.ask("copy", **args)["changed"]
    assert "not found" in agent.refuse("copy", remote_src=True, src="/no/such", dest=str(tmp_path))["what"]


def test_content_with_an_owner_that_nobody_is_leaves_nothing(start, tmp_path):
    reply = put(start(), tmp_path / "file", "secret", owner="no-such-user")
    assert "there is no user" in reply["error"]["what"]
    assert [name for name in os.listdir(str(tmp_path)) if name not in ("home", "root")] == []
