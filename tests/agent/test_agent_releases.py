"""`current` is the old release or the new one, whole, and never anything that was not proved."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from agent_client import REPOSITORY

pytestmark = pytest.mark.agent


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def agent(start, root):
    return start(root=root)


def make_engine(root, key, content=None, verdict="passed", **changes):
    content = content or f"engine {key}".encode()
    folder = root / "engines" / key
    folder.mkdir(parents=True)
    (folder / "model.engine").write_bytes(content)
    passport = {"format": 1, "key": key, "engine": {"sha256": hashlib.sha256(content).hexdigest()}}
    passport["verdict"] = {"passed": {"passed": True}, "failed": {"passed": False}, "none": None}[verdict]
    (folder / "passport.json").write_text(json.dumps({**passport, **changes}))
    return key


def activate(agent, release, *keys, **more):
    engines = [{"key": key, "file": f"b{place}.engine"} for place, key in enumerate(keys)]
    return agent.ask("release_activate", model="digits", release=release, engines=engines, **more)


def test_activation_switches_a_symlink_to_a_whole_release(agent, root):
    make_engine(root, "k1")
    make_engine(root, "k2")
    reply = activate(agent, "r1", "k1", "k2")
    assert reply["ok"] and reply["changed"], reply
    assert reply["data"]["release"] == "r1" and reply["data"]["previous"] is None
    current = root / "models/digits/current"
    assert os.readlink(current) == "releases/r1"
    assert (current / "b1.engine").read_bytes() == b"engine k2"
    assert (current / "b0.engine").stat().st_ino == (root / "engines/k1/model.engine").stat().st_ino
    assert json.loads((current / "b0.passport.json").read_text())["key"] == "k1"
    assert agent.call("release_status") == {
        "models": {
            "digits": {
                "current": "r1",
                "releases": ["r1"],
                "engines": [
                    {
                        "key": "k1",
                        "file": "b0.engine",
                        "sha256": hashlib.sha256(b"engine k1").hexdigest(),
                        "present": True,
                    },
                    {
                        "key": "k2",
                        "file": "b1.engine",
                        "sha256": hashlib.sha256(b"engine k2").hexdigest(),
                        "present": True,
                    },
                ],
            }
        }
    }


def test_the_same_engines_again_change_nothing(agent, root):
    make_engine(root, "k1")
    activate(agent, "r1", "k1")
    reply = activate(agent, "r2", "k1")
    assert not reply["changed"] and reply["data"]["release"] == "r1"
    assert os.listdir(root / "models/digits/releases") == ["r1"]


def test_check_mode_predicts_and_changes_nothing(agent, root):
    make_engine(root, "k1")
    assert activate(agent, "r1", "k1", check=True)["changed"]
    assert not (root / "models").exists()
    activate(agent, "r1", "k1")
    assert not activate(agent, "r2", "k1", check=True)["changed"]


@pytest.mark.parametrize(
    "made, said",
    [
        ({"verdict": "failed"}, "no passing verdict"),
        ({"verdict": "none"}, "no passing verdict"),
        ({"engine": {"sha256": "0" * 64}}, "not the file that was proved"),
        ({"engine": None}, "not the file that was proved"),
        ({"key": "other"}, "no passport"),
    ],
    ids=["failed", "no verdict", "other bytes", "no digest", "other passport"],
)
def test_what_was_not_proved_is_never_activated(agent, root, made, said):
    make_engine(root, "good")
    activate(agent, "r1", "good")
    make_engine(root, "bad", **made) if "key" not in made else make_engine_of(root, "bad", made["key"])
    reply = activate(agent, "r2", "good", "bad")
    assert reply["error"]["kind"] == "refused" and said in reply["error"]["what"]
    assert os.readlink(root / "models/digits/current") == "releases/r1"
    assert os.listdir(root / "models/digits/releases") == ["r1"]


def make_engine_of(root, key, other):
    make_engine(root, key)
    path = root / "engines" / key / "passport.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "key": other}))


def test_a_missing_engine_is_refused(agent, root):
    assert "no passport" in activate(agent, "r1", "nothing")["error"]["what"]
    make_engine(root, "k1")
    (root / "engines/k1/model.engine").unlink()
    assert "missing" in activate(agent, "r1", "k1")["error"]["what"]


def test_the_last_releases_are_kept_and_the_current_one_always(agent, root):
    for number in range(6):
        make_engine(root, f"k{number}")
        reply = activate(agent, f"r{number}", f"k{number}", keep=3)
        assert reply["ok"], reply
    assert reply["data"]["removed"] == ["r2"]
    assert sorted(os.listdir(root / "models/digits/releases")) == ["r3", "r4", "r5"]
    assert agent.call("release_rollback", model="digits", to="r3")["previous"] == "r5"
    make_engine(root, "k6")
    activate(agent, "r6", "k6", keep=1)
    assert sorted(os.listdir(root / "models/digits/releases")) == ["r6"]


def test_rollback_goes_one_release_back_at_a_time(agent, root):
    for number in range(3):
        make_engine(root, f"k{number}")
        activate(agent, f"r{number}", f"k{number}")
    assert agent.ask("release_rollback", check=True, model="digits")["data"]["release"] == "r1"
    assert os.readlink(root / "models/digits/current") == "releases/r2"
    for expected in ("r1", "r0"):
        assert agent.call("release_rollback", model="digits")["release"] == expected
        assert os.readlink(root / "models/digits/current") == f"releases/{expected}"
    assert "no earlier release" in agent.refuse("release_rollback", model="digits")["what"]
    assert not agent.ask("release_rollback", model="digits", to="r0")["changed"]
    assert "r0, r1, r2" in agent.refuse("release_rollback", model="digits", to="r9")["why"]


def test_rollback_refuses_a_release_whose_bytes_rotted(agent, root):
    make_engine(root, "k0")
    make_engine(root, "k1")
    activate(agent, "r0", "k0")
    activate(agent, "r1", "k1")
    (root / "models/digits/releases/r0/b0.engine").write_bytes(b"rotten")
    assert "not the file that was proved" in agent.refuse("release_rollback", model="digits")["what"]
    assert os.readlink(root / "models/digits/current") == "releases/r1"


CRASH = """
import os, sys
sys.path.insert(0, {repository!r})
from device_agent import releases
from device_agent.arguments import check
from device_agent.actions.releases import release_activate
from device_agent.root import Root

left = {left}

def counted(function):
    def call(*args, **keywords):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return function(*args, **keywords)
    return call

for name in ("mkdir", "chmod", "link", "symlink", "rename", "replace", "unlink", "fsync", "open", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))

class Context:
    root = Root({root!r})
    check = False

args = dict(model="digits", release="r2", engines=[dict(key="k2", file="b0.engine")], keep=1)
release_activate(check("release_activate", release_activate.schema, args), Context())
"""


def test_a_crash_at_any_step_leaves_the_old_release_or_the_new_one(python, start, tmp_path):
    """The power goes before every single change of the file system, one after the other."""
    seen = set()
    for left in range(60):
        root = tmp_path / f"root{left}"
        make_engine(root, "k1")
        make_engine(root, "k2")
        subprocess.run([sys.executable, "-c", FIRST.format(repository=str(REPOSITORY), root=str(root))], check=True)
        code = CRASH.format(repository=str(REPOSITORY), root=str(root), left=left)
        rc = subprocess.run([python, "-c", code], timeout=30).returncode
        current = root / "models/digits/current"
        release = os.readlink(current)
        assert release in ("releases/r1", "releases/r2"), left
        assert (current / "b0.engine").read_bytes() == (b"engine k1" if release == "releases/r1" else b"engine k2")
        assert json.loads((current / "release.json").read_text())["release"] == Path(release).name
        seen.add(release)
        if left % 7 == 0 and rc == 9:
            again = start(root=root)
            assert activate(again, "r2", "k2", keep=1)["ok"]
            assert os.readlink(current) == "releases/r2"
            make_engine(root, "k3")
            assert activate(again, "r3", "k3", keep=1)["ok"]
            assert os.listdir(root / "models/digits/releases") == ["r3"]
            again.close()
        if rc == 0:
            break
        assert rc == 9
    else:
        pytest.fail("the activation never came to its end")
    assert left > 8 and seen == {"releases/r1", "releases/r2"}


FIRST = """
import sys
sys.path.insert(0, {repository!r})
from device_agent.arguments import check
from device_agent.actions.releases import release_activate
from device_agent.root import Root

class Context:
    root = Root({root!r})
    check = False

args = dict(model="digits", release="r1", engines=[dict(key="k1", file="b0.engine")], keep=1)
release_activate(check("release_activate", release_activate.schema, args), Context())
"""


def test_engines_tells_what_is_there_and_whether_it_is_intact(agent, root):
    for key in ("good", "bad", "gone"):
        make_engine(root, key)
    (root / "engines/gone/model.engine").unlink()
    make_engine(root, "torn")
    (root / "engines/torn/passport.json").write_text('{"key": "to')
    found = agent.call("engines")["engines"]
    assert {key: (entry["present"], entry["intact"]) for key, entry in found.items()} == {
        "good": (True, True),
        "bad": (True, True),
        "gone": (False, False),
        "torn": (True, False),
    }
    assert found["torn"]["passport"] is None and found["good"]["passport"]["key"] == "good"
    (root / "engines/bad/model.engine").write_bytes(b"engine bax")
    found = agent.call("engines", keys=["bad", "never"])["engines"]
    assert (found["bad"]["present"], found["bad"]["intact"]) == (True, False)
    assert found["never"] == {"passport": None, "present": False, "intact": False}


def test_a_passport_is_merged_by_its_top_level_keys(agent, root):
    assert agent.ask("passport_write", check=True, key="k", passport={"format": 1})["changed"]
    assert not (root / "engines").exists()
    assert agent.ask("passport_write", key="k", passport={"format": 1, "verdict": {"passed": False}})["changed"]
    reply = agent.ask("passport_write", key="k", passport={"verdict": {"passed": True}})
    assert reply["data"]["passport"] == {"format": 1, "verdict": {"passed": True}}
    assert json.loads((root / "engines/k/passport.json").read_text()) == reply["data"]["passport"]
    assert not agent.ask("passport_write", key="k", passport={"format": 1})["changed"]
    assert "another engine" in agent.refuse("passport_write", key="k", passport={"key": "other"})["what"]
