"""The apt, apt_repository and service actions against the real apt and dpkg, in a copy of this machine's root."""

import shutil
import subprocess
import textwrap

import pytest
from throwaway import throwaway_root

pytestmark = pytest.mark.agent


def build(folder, name, version, postinst="", needs=""):
    """A package file that brings /usr/share/NAME."""
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share" / name).write_text(version)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
        + (f"Depends: {needs}\n" if needs else "")
        + "Description: for a test\n"
    )
    if postinst:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{postinst}\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    package = folder / "repository" / f"{name}_{version}_all.deb"
    package.parent.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, package], check=True, capture_output=True)
    return package


def index(folder):
    """The repository's list of packages, made without dpkg-dev."""
    entries = []
    for package in sorted((folder / "repository").glob("*.deb")):
        control = subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout
        digest = subprocess.run(["sha256sum", package], check=True, capture_output=True, text=True).stdout.split()[0]
        entries.append(f"{control}Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n")
    (folder / "repository/Packages").write_text("\n".join(entries))


@pytest.fixture
def agent(start, tmp_path):
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("needs apt-get and dpkg-deb")
    before = throwaway_root(tmp_path)
    build(tmp_path, "fleet-one", "1.0")
    build(tmp_path, "fleet-one", "1.2")
    build(tmp_path, "fleet-two", "3.0", needs="fleet-one")
    build(tmp_path, "fleet-sick", "1.0", postinst="test -e /etc/fleet-cure")
    index(tmp_path)
    agent = start(argv_before=before)
    # Nothing outside is asked: the copy's own sources are emptied first.
    agent.call("shell", cmd="rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*")
    # The user that apt fetches as may not look into a test's folder.
    agent.call("shell", cmd="echo 'APT::Sandbox::User \"root\";' > /etc/apt/apt.conf.d/99fleet-test")
    return agent


def test_a_repository_and_its_packages_come_and_go(agent, tmp_path):
    line = f"deb [trusted=yes] file:{tmp_path}/repository ./"
    assert agent.ask("apt_repository", check=True, repo=line, filename="fleet")["changed"]
    added = agent.ask("apt_repository", repo=line, filename="fleet")
    assert added["changed"] and added["data"]["sources_added"] == ["/etc/apt/sources.list.d/fleet.list"]
    assert not agent.ask("apt_repository", repo=line, filename="fleet")["changed"]

    predicted = agent.ask("apt", check=True, name=["fleet-two"])
    done = agent.ask("apt", name=["fleet-two"])
    assert predicted["changed"] and done["changed"] and predicted["diff"] == done["diff"]
    assert done["diff"]["after"] == "fleet-one 1.2\nfleet-two 3.0\n"
    assert not agent.ask("apt", name=["fleet-two", "fleet-one=1.*", "fleet-one>=1.1"])["changed"]
    assert not agent.ask("apt", name=["fleet-two"], state="latest")["changed"]

    assert "downgrade" in agent.refuse("apt", name=["fleet-one=1.0"])["what"]
    assert agent.ask("apt", name=["fleet-one=1.0"], allow_downgrade=True)["changed"]
    latest = agent.ask("apt", name=["fleet-one"], state="latest")
    assert latest["diff"] == {"before": "fleet-one 1.0\n", "after": "fleet-one 1.2\n"}
    assert agent.ask("apt", deb=str(tmp_path / "repository/fleet-one_1.2_all.deb"))["changed"] is False

    assert agent.ask("apt", check=True, name=["fleet-one"], state="absent")["diff"]["after"] == ""
    assert agent.ask("apt", name=["fleet-one"], state="absent", purge=True)["changed"]
    assert not agent.ask("apt", name=["fleet-one"], state="absent")["changed"]
    assert agent.ask("apt_repository", repo=line, state="absent")["data"]["sources_removed"]
    assert "no package fleet-one" in agent.refuse("apt", name=["fleet-one"])["what"]


def test_a_package_that_cannot_be_set_up_is_explained_and_mended(agent, tmp_path):
    line = f"deb [trusted=yes] file:{tmp_path}/repository ./"
    agent.call("apt_repository", repo=line)
    error = agent.refuse("apt", name=["fleet-sick"])
    assert "package fleet-sick could not be set up" in error["what"] and "post-installation" in error["why"]
    assert "fleet-sick was half-configured" in agent.refuse("apt", name=["fleet-two"])["why"]
    assert agent.ask("apt", check=True, state="fixed")["changed"]
    agent.call("shell", cmd="touch /etc/fleet-cure")
    assert agent.ask("apt", state="fixed")["changed"]
    assert not agent.ask("apt", state="fixed")["changed"]


def test_the_real_lock_is_waited_for(agent, tmp_path):
    line = f"deb [trusted=yes] file:{tmp_path}/repository ./"
    agent.call("apt_repository", repo=line)
    holder = textwrap.dedent(
        """
        import fcntl, os, sys, time
        stream = open("/var/lib/dpkg/lock-frontend", "w")
        fcntl.lockf(stream, fcntl.LOCK_EX)
        open("/tmp/fleet-locked", "w").close()
        time.sleep(float(sys.argv[1]))
        """
    )
    agent.call("shell", cmd=f"cat > /tmp/hold.py <<'EOF'\n{holder}EOF\n")
    wait = "while [ ! -e /tmp/fleet-locked ]; do sleep 0.05; done"
    agent.call("shell", cmd=f"rm -f /tmp/fleet-locked; setsid python3 /tmp/hold.py 4 >/dev/null 2>&1 & {wait}")
    error = agent.refuse("apt", name=["fleet-one"], lock_timeout=1)
    assert error["kind"] == "busy" and "python3" in error["what"], error
    request = agent.submit("apt", name=["fleet-one"], lock_timeout=30)
    assert agent.wait(request)["changed"]
    assert any("waiting for the package lock" in event["data"].get("line", "") for event in agent.events[request])


def test_a_repository_whose_lists_cannot_be_fetched_is_taken_back(agent, tmp_path):
    line = f"deb file:{tmp_path}/nothing-here ./"
    error = agent.refuse("apt_repository", repo=line, update_cache_retries=1)
    assert error["kind"] == "failed" and error["what"]
    assert agent.call("shell", cmd="cat /etc/apt/sources.list.d/*.list 2>/dev/null; true")["stdout"] == ""
