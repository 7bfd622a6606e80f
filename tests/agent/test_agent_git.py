"""Working copies of git repositories."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.agent


def git(folder, *words):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Repository:
    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        git(folder, "init", "-q", "-b", "main")
        self.first = self.commit("one")
        git(folder, "tag", "v1")
        self.second = self.commit("two")
        git(folder, "tag", "-a", "v2", "-m", "two")
        git(folder, "checkout", "-q", "-b", "side")
        self.side = self.commit("side")
        git(folder, "checkout", "-q", "main")

    def commit(self, text):
        (self.folder / "file").write_text(text)
        git(self.folder, "add", "file")
        git(self.folder, "commit", "-q", "-m", text)
        return git(self.folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "upstream")


@pytest.fixture
def copy(start, tmp_path, repository):
    agent = start(
        env={"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    )

    def ask(check=False, **args):
        return agent.ask("git", check=check, **{"repo": str(repository.folder), "dest": str(tmp_path / "copy"), **args})

    return ask


def head(tmp_path):
    return git(tmp_path / "copy", "rev-parse", "HEAD")


VERSIONS = [
    ({}, "second"),
    ({"version": "main"}, "second"),
    ({"version": "side"}, "side"),
    ({"version": "v1"}, "first"),
    ({"version": "v2"}, "second"),
    ({"version": "v1", "depth": 1}, "first"),
    ({"version": "side", "depth": 1, "single_branch": True}, "side"),
]


@pytest.mark.parametrize("number", range(len(VERSIONS)))
def test_a_repository_is_cloned_at_a_version(copy, repository, tmp_path, number):
    args, name = VERSIONS[number]
    wanted = getattr(repository, name)
    foretold = copy(check=True, **args)
    assert foretold["changed"] and foretold["data"] == {"before": None, "after": wanted}
    assert not (tmp_path / "copy").exists()
    reply = copy(**args)
    assert reply["changed"] and reply["data"]["after"] == wanted == head(tmp_path)
    if args.get("depth"):
        assert git(tmp_path / "copy", "rev-list", "--count", "HEAD") == "1"
    again = copy(**args)
    assert not again["changed"] and again["data"]["before"] == again["data"]["after"] == wanted
    assert not copy(check=True, **args)["changed"]


def test_a_copy_moves_between_versions(copy, repository, tmp_path):
    copy()
    for version, wanted in (
        (repository.first, repository.first),
        ("side", repository.side),
        ("v2", repository.second),
        (repository.first[:10], repository.first),
        ("main", repository.second),
    ):
        assert copy(check=True, version=version)["changed"]
        reply = copy(version=version)
        assert reply["changed"] and reply["data"]["after"] == wanted == head(tmp_path), reply
        assert not copy(version=version)["changed"]
    assert git(tmp_path / "copy", "symbolic-ref", "--short", "HEAD") == "main"


def test_new_commits_are_fetched_also_into_a_shallow_copy(copy, repository, tmp_path):
    copy(depth=1)
    third = repository.commit("three")
    assert copy(check=True, depth=1)["data"]["after"] == third
    reply = copy(depth=1)
    assert reply["changed"] and reply["data"]["after"] == third == head(tmp_path)
    assert reply["diff"]["after"] == third + "\n"
    assert copy(version=repository.first)["data"]["after"] == repository.first
    assert not copy(update=False)["changed"]
    assert copy(clone=False, dest=str(tmp_path / "other"))["data"]["after"] == third
    assert not (tmp_path / "other").exists()


def test_local_changes_are_kept_unless_forced(copy, tmp_path):
    copy()
    (tmp_path / "copy/file").write_text("mine")
    (tmp_path / "copy/untracked").write_text("mine")
    error = copy()["error"]
    assert "Local modifications exist" in error["what"] and "file" in error["why"]
    assert not copy(check=True)["ok"] and (tmp_path / "copy/file").read_text() == "mine"
    assert copy(check=True, force=True)["changed"] and (tmp_path / "copy/file").read_text() == "mine"
    assert copy(force=True)["changed"]
    assert (tmp_path / "copy/file").read_text() == "two" and (tmp_path / "copy/untracked").exists()


def test_submodules_come_along(copy, repository, tmp_path):
    part = Repository(tmp_path / "part")
    git(repository.folder, "submodule", "add", "-q", str(part.folder), "part")
    git(repository.folder, "commit", "-q", "-m", "with a part")
    copy()
    assert (tmp_path / "copy/part/file").read_text() == "two"
    assert not copy()["changed"]
    newer = part.commit("newer")
    git(repository.folder / "part", "pull", "-q", "origin", "main")
    git(repository.folder, "commit", "-q", "-a", "-m", "newer part")
    reply = copy()
    assert reply["data"]["submodules_changed"] and git(tmp_path / "copy/part", "rev-parse", "HEAD") == newer
    assert copy(dest=str(tmp_path / "bare"), recursive=False)["changed"]
    assert os.listdir(str(tmp_path / "bare/part")) == []


def test_another_repository_takes_the_place_of_the_remote(copy, tmp_path):
    copy()
    other = Repository(tmp_path / "other")
    latest = other.commit("latest")
    reply = copy(repo=str(other.folder), force=True)
    assert reply["data"]["remote_url_changed"] and reply["data"]["after"] == latest
    assert not copy(repo=str(other.folder))["changed"]


def test_what_cannot_be_had_is_said(copy, tmp_path):
    error = copy(version="no-such-branch")["error"]
    assert "has no branch or tag no-such-branch" in error["what"]
    error = copy(repo=str(tmp_path / "nowhere"))["error"]
    assert "git ls-remote failed" in error["what"] and error["why"]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/mine").touch()
    assert "is no git working copy" in copy()["error"]["what"] and (tmp_path / "copy/mine").exists()
    assert copy(version="--upload-pack=evil")["error"]["kind"] == "refused"
