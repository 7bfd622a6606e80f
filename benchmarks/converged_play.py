"""How long a converged 21-task play takes under Fleet, pyinfra, Ansible with pipelining, and Ansible with Mitogen.

    python benchmarks/converged_play.py [--hosts 1 20] [--rounds 2] [--without ansible] [--rtt 50]

Facts, 5 directories, 5 small copies, 5 lines in files and 5 commands, on OpenSSH hosts on loopback that have
everything already: whole processes, the same target Python, the same forks, all tools in turn within each round. Prints
seconds and ratios; exits with 1 where Fleet misses a target. With --rtt it counts the round trips of Fleet's whole play
instead, over a link with that delay in milliseconds. The peers are installed into a virtual environment of their own
(--peers DIR keeps it for the next time).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1])]

from ssh_hosts import SshHosts  # noqa: E402

HERE = Path(__file__).resolve().parent / "converged"
PEERS = ("pyinfra==3.10.*", "ansible-core==2.19.*", "mitogen==0.3.54")
TARGETS = {(20, "pyinfra"): 15.0, (20, "ansible"): 40.0, (20, "mitogen"): 8.0, (1, "pyinfra"): 5.0}
"""At least this many times faster, by number of hosts and peer."""
MAX_ROUND_TRIPS = 12
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Tool:
    """One way to run the play: the command line, and what its environment says."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    directory: Path

    def seconds(self) -> float:
        """Wall seconds of one whole run.

        Raises:
            SystemExit: it failed; with its output's end.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "SSH_AUTH_"))}
        # A directory of its own per run: no tool finds connections of the run before.
        with tempfile.TemporaryDirectory(prefix="cp-", dir="/tmp") as sockets:
            environment.update(self.environment, ANSIBLE_SSH_CONTROL_PATH_DIR=sockets)
            started = time.perf_counter()
            done = subprocess.run(
                self.command, cwd=self.directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=TIMEOUT_S,
            )  # fmt: skip
            taken = time.perf_counter() - started
        if done.returncode != 0:
            raise SystemExit(f"{self.name} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        return taken


def peers(folder: Path) -> Path:
    """The `bin` of a virtual environment with the peers, which is made where it is not."""
    binaries = folder / "bin"
    if not (binaries / "pyinfra").exists():
        print(f"installing {', '.join(PEERS)} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(binaries / "pip"), "install", "--quiet", "--disable-pip-version-check", *PEERS]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    return binaries


def tools(hosts: SshHosts, binaries: Path, python: str, forks: int) -> list[Tool]:
    """Fleet and its peers, on the same hosts."""
    folder = hosts.folder
    inventory = _inventory(hosts, python)
    pyinfra = folder / "pyinfra_hosts.py"
    entries = [
        (name, {"ssh_hostname": "127.0.0.1", "ssh_port": port, "home": str(home)})
        for name, port, home in zip(hosts.names, hosts.ports, hosts.homes, strict=True)
    ]
    common = {
        "ssh_user": hosts.user,
        "ssh_key": str(hosts.key),
        "ssh_known_hosts_file": str(hosts.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    pyinfra.write_text(f"hosts = ({entries!r}, {common!r})\n")
    playing = [str(binaries / "ansible-playbook"), "-i", str(inventory), "-f", str(forks), str(HERE / "play.yml")]
    (folder / "ansible.cfg").write_text("[defaults]\n")
    ansible = {
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_SSH_COMMON_ARGS": f"-F /dev/null -o UserKnownHostsFile={hosts.known_hosts}",
    }
    return [
        fleet(hosts, inventory, forks),
        Tool(
            "pyinfra",
            [str(binaries / "pyinfra"), "-y", "--parallel", str(forks), str(pyinfra), str(HERE / "pyinfra_deploy.py")],
            {},
            folder,
        ),
        Tool("mitogen", playing, {**ansible, **_mitogen(binaries)}, folder),
        Tool("ansible", playing, ansible, folder),
    ]


def fleet(hosts: SshHosts, inventory: Path, forks: int) -> Tool:
    """`fleet play` with a state of its own under the hosts' folder, trusting their keys."""
    home = hosts.folder / "fleet"
    home.mkdir(exist_ok=True)
    (home / "known_hosts").write_text(hosts.known_hosts.read_text())
    command = [sys.executable, "-m", "orchestrator", "play", str(HERE / "play.yml"), "-i", str(inventory)]
    command += ["--forks", str(forks), "--no-live", "--runs", str(hosts.folder / "runs")]
    environment = {"FLEET_HOME": str(home), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return Tool("fleet", command, environment, hosts.folder)


def _inventory(hosts: SshHosts, python: str, ports: Sequence[int] | None = None) -> Path:
    path = hosts.folder / "hosts.json"
    entries = {
        name: {"ansible_port": port, "home": str(home)}
        for name, port, home in zip(hosts.names, ports or hosts.ports, hosts.homes, strict=True)
    }
    common = {
        "ansible_host": "127.0.0.1",
        "ansible_user": hosts.user,
        "ansible_ssh_private_key_file": str(hosts.key),
        "ansible_python_interpreter": python,
    }
    path.write_text(json.dumps({"all": {"hosts": entries, "vars": common}}))
    return path


def _mitogen(binaries: Path) -> dict[str, str]:
    find = "import ansible_mitogen, os; print(os.path.dirname(ansible_mitogen.__file__))"
    found = subprocess.run([str(binaries / "python"), "-c", find], check=True, capture_output=True, text=True)
    return {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": f"{found.stdout.strip()}/plugins/strategy",
        "ANSIBLE_HOST_KEY_CHECKING": "1",
    }


def compare(count: int, rounds: int, binaries: Path, python: str, without: Sequence[str]) -> bool:
    """Run all tools in turn; prints a table. True where every target is met."""
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder, SshHosts(Path(folder), count) as hosts:
        chosen = [tool for tool in tools(hosts, binaries, python, forks=20) if tool.name not in without]
        for tool in chosen:
            if tool.name != "ansible":  # it keeps nothing from run to run, and takes minutes
                tool.seconds()  # makes what is missing, and warms every cache
        taken: dict[str, list[float]] = {tool.name: [] for tool in chosen}
        for number in range(1, rounds + 1):
            for tool in chosen:
                taken[tool.name].append(tool.seconds())
            line = ", ".join(f"{name} {seconds[-1]:.2f}" for name, seconds in taken.items())
            print(f"  round {number}, seconds: {line}", flush=True)
    print(f"{count} host{'s' * (count > 1)}, median of {rounds} round{'s' * (rounds > 1)}:")
    met = True
    for name, seconds in taken.items():
        ratio = statistics.median(theirs / ours for theirs, ours in zip(seconds, taken["fleet"], strict=True))
        target = TARGETS.get((count, name))
        words = "" if target is None else f"  (target {target:.0f}x: {'met' if ratio >= target else 'MISSED'})"
        met = met and (target is None or ratio >= target)
        print(f"  {name:<8} {statistics.median(seconds):8.2f} s  {ratio:6.1f}x{words}", flush=True)
    return met


def round_trips(rtt_ms: float, python: str) -> bool:
    """Count the round trips of a converged play on one host; True where there are few enough."""
    from orchestrator.lab.delay import Link

    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder, SshHosts(Path(folder), 1) as hosts:
        seconds = {}
        for delay_s in (0.0, 0.0, rtt_ms / 2000):
            with Link("127.0.0.1", hosts.ports[0], delay_s) as link:
                hosts.known_hosts.write_text(hosts.known_hosts.read_text().splitlines()[0] + "\n")
                key = hosts.known_hosts.read_text().split(maxsplit=1)[1]
                hosts.known_hosts.write_text(f"[127.0.0.1]:{hosts.ports[0]} {key}[127.0.0.1]:{link.address[1]} {key}")
                seconds[delay_s] = fleet(hosts, _inventory(hosts, python, [link.address[1]]), 1).seconds()
                trips = link.round_trips
    slow, fast = seconds[rtt_ms / 2000], seconds[0.0]
    print(f"RTT {rtt_ms:.0f} ms: {trips} round trips from connecting to the end (at most {MAX_ROUND_TRIPS})")
    print(f"  {slow:.2f} s instead of {fast:.2f} s: the delay costs {(slow - fast) / rtt_ms * 1000:.1f} round trips")
    return trips <= MAX_ROUND_TRIPS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 20], metavar="N")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--without", nargs="+", default=[], choices=["pyinfra", "mitogen", "ansible"], metavar="PEER")
    parser.add_argument("--rtt", type=float, metavar="MS", help="count round trips at this delay instead")
    parser.add_argument("--python", default="/usr/bin/python3", help="Python of the targets, for all tools")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="virtual environment of the peers, kept")
    options = parser.parse_args()
    if options.rtt:
        return 0 if round_trips(options.rtt, options.python) else 1
    with tempfile.TemporaryDirectory(prefix="fleet-peers-") as folder:
        binaries = peers((options.peers or Path(folder)).absolute())
        met = [compare(count, options.rounds, binaries, options.python, options.without) for count in options.hosts]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
