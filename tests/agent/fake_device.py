"""A device's files and tools in a folder, for FLEET_AGENT_PREFIX."""

import json
import sys
from pathlib import Path

CASES = Path(__file__).parent / "cases"
BOARDS = json.loads((CASES / "modes.json").read_text())["boards"]
TOOL = Path(__file__).parent / "fake_tool.py"

GPU = "/sys/devices/platform/17000000.gpu/devfreq_dev"
MASK = "/sys/devices/platform/gpu.0/tpc_pg_mask"
CPU = "/sys/devices/system/cpu"
CPU_MAX_KHZ, GPU_MAX_HZ = 2_000_000, 1_300_000_000


class FakeDevice:
    """Files under `folder`, and tools that are run by the Python of the tests.

    Args:
        board: whose power modes it has (a name of cases/modes.json), or None.
        mode: id of the mode in force; the board's default if None.
    """

    def __init__(self, folder, board=None, mode=None):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.behave()
        if board:
            self.rows = {row[0]: row for row in BOARDS[board]["rows"]}
            self.cores = max(row[2] for row in self.rows.values())
            self.write("/etc/nvpmodel.conf", self._conf(BOARDS[board]["default"]))
            self.tool("/usr/sbin/nvpmodel", "nvpmodel")
            self.tool("/usr/bin/jetson_clocks", "jetson_clocks")
            self.put_into_force(BOARDS[board]["default"] if mode is None else mode)

    def path(self, path):
        return self.folder / path.lstrip("/")

    def write(self, path, content):
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, path):
        return self.path(path).read_text()

    def tool(self, path, kind):
        """A tool of fake_tool.py; `prints:NAME` prints fake/NAME.txt whatever it is asked."""
        self.write(path, f'#!/bin/sh\nexec {sys.executable} -S {TOOL} {kind} {self.folder} "$@"\n')
        self.path(path).chmod(0o755)

    def behave(self, **how):
        """How the tools behave; see fake_tool.py."""
        self.write("/fake/behaviour.json", json.dumps(how))

    def calls(self, tool):
        """The command lines that a tool was given."""
        path = self.path(f"/fake/{tool}.calls")
        return path.read_text().splitlines() if path.exists() else []

    def settings(self, mode_id):
        """{path: value} of a mode, as nvpmodel writes them."""
        _, _, cores, cpu, gpu, _, mask = self.rows[mode_id]
        values = {f"{CPU}/cpu{core}/online": int(core < cores) for core in range(self.cores)}
        values[f"{CPU}/online"] = f"0-{cores - 1}"
        for core in range(cores):
            values[f"{CPU}/cpu{core}/cpufreq/scaling_max_freq"] = cpu * 1000 if cpu else CPU_MAX_KHZ
            values[f"{CPU}/cpu{core}/cpufreq/scaling_min_freq"] = 100_000
        values[f"{GPU}/max_freq"] = gpu * 1_000_000 if gpu else GPU_MAX_HZ
        values[f"{GPU}/min_freq"] = 76_000_000
        values[f"{GPU}/cur_freq"] = 76_000_000
        if mask is not None:
            values[MASK] = mask
        return values

    def put_into_force(self, mode_id):
        for path, value in self.settings(mode_id).items():
            self.write(path, f"{value}\n")
        self.write("/var/lib/nvpmodel/status", f"pmode:{mode_id:04}\n")

    def _conf(self, default):
        lines = ["# modes of a test", "< PARAM TYPE=FILE NAME=CPU_ONLINE >"]
        lines += [f"CORE_{core} {CPU}/cpu{core}/online" for core in range(self.cores)]
        if any(row[6] is not None for row in self.rows.values()):
            lines += ["<PARAM TYPE=FILE NAME=TPC_POWER_GATING>", f"TPC_PG_MASK {MASK}"]
        lines += ["< PARAM TYPE=FILE NAME=GPU_POWER_CONTROL_ENABLE >", f"GPU_PWR_CNTL_EN {GPU}/../power/control"]
        lines += ["< PARAM TYPE=CLOCK NAME=CPU_A >", f"MAX_FREQ {CPU}/cpu0/cpufreq/scaling_max_freq"]
        lines += [f"MIN_FREQ {CPU}/cpu0/cpufreq/scaling_min_freq"]
        lines += ["< PARAM TYPE=CLOCK NAME=GPU >", f"MAX_FREQ {GPU}/max_freq", f"MIN_FREQ {GPU}/min_freq"]
        lines += ["< PARAM TYPE=CLOCK NAME=EMC >", "MAX_FREQ /sys/kernel/nvpmodel_clk_cap/emc"]
        for mode_id, name, cores, cpu, gpu, emc, mask in self.rows.values():
            lines += ["", f"< POWER_MODEL ID={mode_id} NAME={name} >  # a comment"]
            lines += [f"CPU_ONLINE CORE_{core} {int(core < cores)}" for core in range(self.cores)]
            lines += [f"TPC_POWER_GATING TPC_PG_MASK {mask}"] if mask is not None else []
            lines += ["GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on", "CPU_A MIN_FREQ 0"]
            lines += [f"CPU_A MAX_FREQ {cpu * 1000 if cpu else -1}", "GPU MIN_FREQ 0"]
            lines += [f"GPU MAX_FREQ {gpu * 1_000_000 if gpu else -1}", f"EMC MAX_FREQ {emc * 1_000_000 if emc else 0}"]
        return "\n".join([*lines, "", f"< PM_CONFIG DEFAULT={default} >", ""])
