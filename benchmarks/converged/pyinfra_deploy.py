"""What pyinfra runs in converged_play.py: the same 21 steps as play.yml."""

from pathlib import Path

from pyinfra import host
from pyinfra.facts.server import Arch, Hostname, Kernel, LinuxDistribution
from pyinfra.operations import files, server

BASE = f"{host.data.get('home')}/converged"
SMALL = Path(__file__).parent / "files" / "small.conf"

for fact in (Hostname, Kernel, Arch, LinuxDistribution):
    host.get_fact(fact)
for n in range(1, 6):
    files.directory(name=f"directory {n}", path=f"{BASE}/d{n}", mode="755")
for n in range(1, 6):
    files.put(name=f"copy {n}", src=str(SMALL), dest=f"{BASE}/d{n}/small.conf", mode="644")
for n in range(1, 6):
    files.line(name=f"line {n}", path=f"{BASE}/d{n}/small.conf", line="^first .*$", replace="first = 1")
for n in range(1, 6):
    server.shell(name=f"command {n}", commands=["true"])
