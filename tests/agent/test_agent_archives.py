"""Archives unpacked on the device, and sources built there."""

import base64
import io
import os
import stat
import tarfile
import time
import zipfile

import pytest

pytestmark = pytest.mark.agent

FILES = {"top/a.txt": b"a\n", "top/sub/tool": b"#!/bin/sh\n", "top/sub/b.txt": b"b" * 5000}


def tar_bytes(compression, extra=()):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:" + compression) as archive:
        for name in ("top", "top/sub"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, 1500000000
            archive.addfile(folder)
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), 1500000000, 0o755 if name.endswith("tool") else 0o644
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("top/link")
        link.type, link.linkname = tarfile.SYMTYPE, "a.txt"
        archive.addfile(link)
        hard = tarfile.TarInfo("top/hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, "top/a.txt"
        archive.addfile(hard)
        for info in extra:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return stream.getvalue()


def zip_bytes():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("top/", (2020, 1, 2, 3, 4, 6)), b"")
        for name, content in FILES.items():
            info = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
            info.external_attr = (stat.S_IFREG | (0o755 if name.endswith("tool") else 0o644)) << 16
            archive.writestr(info, content)
        link = zipfile.ZipInfo("top/link", (2020, 1, 2, 3, 4, 6))
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "a.txt")
    return stream.getvalue()


KINDS = {
    "tar": ("TarArchive", lambda: tar_bytes("")),
    "tar.gz": ("TgzArchive", lambda: tar_bytes("gz")),
    "tar.bz2": ("TarBzipArchive", lambda: tar_bytes("bz2")),
    "tar.xz": ("TarXzArchive", lambda: tar_bytes("xz")),
    "zip": ("ZipArchive", zip_bytes),
}


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "hard"
    }


@pytest.fixture
def dest(tmp_path):
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


def ask(agent, content, dest, check=False, **args):
    return agent.ask(
        "unarchive", check=check, src="x", dest=str(dest), content_base64=base64.b64encode(content).decode(), **args
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_unpacked_once(start, dest, kind):
    agent = start()
    handler, make = KINDS[kind]
    content = make()
    assert ask(agent, content, dest, check=True)["changed"] and os.listdir(str(dest)) == []
    reply = ask(agent, content, dest, list_files=True)
    assert reply["ok"], reply["error"]
    assert reply["changed"] and reply["data"]["handler"] == handler
    assert {"top/a.txt", "top/sub/tool", "top/link"} <= set(reply["data"]["files"])
    assert content_of(dest) == FILES
    assert (dest / "top/sub/tool").stat().st_mode & 0o111 == 0o111 and os.readlink(str(dest / "top/link")) == "a.txt"
    again = ask(agent, content, dest)
    assert not again["changed"], again
    assert not ask(agent, content, dest, check=True)["changed"]
    (dest / "top/a.txt").write_bytes(b"z\n")
    os.utime(str(dest / "top/a.txt"), (1500000000, 1500000000))
    assert ask(agent, content, dest)["changed"] and (dest / "top/a.txt").read_bytes() == b"a\n"


def test_what_ansible_users_ask_of_an_archive(start, dest, tmp_path):
    agent = start()
    content = tar_bytes("gz")
    reply = ask(agent, content, dest, extra_opts=["--strip-components=1"], mode="u=rwX,go=")
    assert reply["changed"] and (dest / "a.txt").stat().st_mode & 0o777 == 0o600 and not (dest / "top").exists()
    assert (dest / "hard").samefile(dest / "a.txt")
    assert not ask(agent, content, dest, extra_opts=["--strip-components 1"], mode="u=rwX,go=")["changed"]
    assert ask(agent, content, dest, creates=str(dest / "a.*"))["data"]["skipped"]
    other = tmp_path / "other"
    other.mkdir()
    ask(agent, content, other, exclude=["*b.txt", "top/link"])
    assert sorted(content_of(other)) == ["top/a.txt", "top/sub/tool"] and not (other / "top/link").exists()
    folder = tmp_path / "folder"
    folder.mkdir()
    ask(agent, content, folder, exclude=["top/sub", "top/hard"])
    assert sorted(content_of(folder)) == ["top/a.txt"] and not (folder / "top/sub").exists()
    newer = other / "top/a.txt"
    newer.write_text("mine")
    assert not ask(agent, content, other, exclude=["*b.txt", "top/link", "*hard"], keep_newer=True)["changed"]
    (tmp_path / "on-device.tar.gz").write_bytes(content)
    reply = agent.ask("unarchive", src=str(tmp_path / "on-device.tar.gz"), remote_src=True, dest=str(other))
    assert reply["changed"] and newer.read_text() == "a\n"


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


EVIL = {
    "a name with dots": [member("../evil", size=1)],
    "a name through a link": [member("out", type=tarfile.SYMTYPE, linkname=".."), member("out/evil", size=1)],
    "a hard link to the outside": [member("evil", type=tarfile.LNKTYPE, linkname="../secret")],
    "a device": [member("evil", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_archive_cannot_reach_out_of_its_folder(start, dest, tmp_path, kind):
    (tmp_path / "secret").write_text("s")
    reply = ask(start(), tar_bytes("gz", EVIL[kind]), dest)
    assert not reply["ok"] and reply["error"]["kind"] == "failed"
    assert not (tmp_path / "evil").exists() and not (dest / "evil").exists()


def test_an_absolute_name_is_taken_below_the_folder(start, dest):
    assert ask(start(), tar_bytes("gz", [member("/abs/x", size=1)]), dest)["changed"]
    assert (dest / "abs/x").read_text() == "x"


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ({"extra_opts": ["--transform=s/a/b/"]}, "--transform"),
        ({"include": ["a"], "exclude": ["b"]}, "include"),
    ],
)
def test_options_that_are_not_supported_are_refused(start, dest, args, part):
    reply = ask(start(), tar_bytes("gz"), dest, **args)
    assert reply["error"]["kind"] == "refused" and part in reply["error"]["what"]


def test_a_damaged_archive_and_no_archive(start, dest, tmp_path):
    agent = start()
    assert "Failed to find handler" in ask(agent, b"hello, world", dest)["error"]["what"]
    assert not ask(agent, tar_bytes("gz")[:-200], dest)["ok"]
    error = agent.refuse("unarchive", src=str(tmp_path / "none"), remote_src=True, dest=str(dest))
    assert "does not exist" in error["what"]
    assert "is not a directory" in ask(agent, tar_bytes("gz"), tmp_path / "none")["error"]["what"]
    assert agent.ask("unarchive", check=True, src="big", dest=str(dest), unsent=True)["changed"]


MAKEFILE = """all: out
out: in
\tcp in out
\t@echo made with $(FLAVOUR)
broken:
\t@echo going wrong >&2; exit 3
"""


def test_make_builds_what_is_not_up_to_date(start, tmp_path):
    agent = start()
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "in").write_text("1")
    args = {"chdir": str(tmp_path), "params": {"FLAVOUR": "vanilla"}, "jobs": 2}
    assert agent.ask("make", check=True, **args)["changed"] and not (tmp_path / "out").exists()
    reply = agent.ask("make", **args)
    assert reply["changed"] and "made with vanilla" in reply["data"]["stdout_lines"]
    assert "-j 2" in reply["data"]["command"] and reply["data"]["chdir"] == str(tmp_path)
    assert not agent.ask("make", **args)["changed"]
    time.sleep(0.02)
    (tmp_path / "in").write_text("2")
    os.utime(str(tmp_path / "in"), None)
    assert agent.ask("make", target="out", chdir=str(tmp_path))["changed"] and (tmp_path / "out").read_text() == "2"
    (tmp_path / "Other").write_text("x:\n\ttouch x\n")
    assert agent.ask("make", chdir=str(tmp_path), file=str(tmp_path / "Other"), target="x")["changed"]
    failed = agent.call("make", chdir=str(tmp_path), target="broken")
    assert failed["failed"] and failed["rc"] == 2 and "going wrong" in failed["stderr"]
    assert "No rule" in agent.call("make", chdir=str(tmp_path), target="nothing")["msg"]
