"""Every device Python that this machine has, and agents under them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from agent_client import PACKAGE, Agent, copy_package

VERSIONS = ("3.6", "3.8", "3.10", "3.12", "3.13")


def find_python(version):
    """The interpreter of a version: on PATH, or the newest that pyenv has."""
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
        return found
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = sorted(pyenv.glob(f"{version}.*/bin/python"), key=lambda path: int(path.parts[-3].split(".")[2]))
    return str(candidates[-1]) if candidates else None


@pytest.fixture(scope="session", params=VERSIONS)
def python(request):
    """A device Python; the tests that use it run under each."""
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"no Python {request.param} on this machine")
    return found


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A copy of the agent with a scripted engine and an unruly action."""
    return copy_package(tmp_path_factory.mktemp("agent"))


@pytest.fixture
def start(python, tmp_path):
    """Start agents: `start(package=..., root=..., prefix=..., argv_before=[...])`; they are closed at the end."""
    agents = []

    def begin(package=PACKAGE, root=None, prefix=None, argv_before=(), before="", env=None):
        env = {**(env or {}), **({"FLEET_AGENT_PREFIX": str(prefix)} if prefix else {})}
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        root = root or tmp_path / "root"
        agents.append(Agent([*argv_before, python, package], root, env, before, home))
        return agents[-1]

    yield begin
    for agent in agents:
        if agent.process.poll() is None:
            agent.close()


def _namespace(*options):
    """A prefix that gives a command another uid in a user namespace; skips where those are forbidden."""
    argv = ["unshare", *options]
    if not shutil.which("unshare") or subprocess.run([*argv, "true"], capture_output=True).returncode != 0:
        pytest.skip("unprivileged user namespaces are forbidden here, so uids cannot be tested")
    return argv


@pytest.fixture
def start_as_root(start):
    """Like `start`, with an agent of uid 0."""
    before = [] if os.geteuid() == 0 else _namespace("--user", "--map-root-user")
    return lambda **options: start(argv_before=before, **options)


@pytest.fixture
def start_as_user(start):
    """Like `start`, with an agent of uid 1000."""
    before = _namespace("--user", "--map-user=1000", "--map-group=1000")
    return lambda **options: start(argv_before=before, **options)
