"""`fleet infer`: inputs of the user through the active engines, and the outputs back as .npz."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.common import connection_options, connections, inventory_options, load, project_home
from orchestrator.errors import DeviceError, FleetError

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.inventory.inventory import Host


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--model", required=True, metavar="NAME", help="the model, as deployed")
    parser.add_argument("--input", required=True, metavar="FILE.npz", help="an array per input, samples along axis 0")
    parser.add_argument("-o", "--out", default=".", metavar="DIR", help="folder for MODEL.HOST.npz (here)")
    inventory_options(parser)
    connection_options(parser)


def run(options: argparse.Namespace) -> int:
    import numpy as np

    from orchestrator.engines.inference import infer, read_inputs
    from orchestrator.platforms.facts import resolve
    from orchestrator.runs.connections import for_each, statuses
    from orchestrator.store import Store

    arrays = read_inputs(Path(options.input))
    _, hosts = load(options)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    store = Store(project_home() / "store")

    def ask(host: Host, device: Device) -> dict[str, Any]:
        facts = resolve(device.facts())
        started = time.monotonic()
        outputs, passport = infer(device, facts, options.model, arrays, store)
        target = out / f"{options.model}.{host.name}.npz"
        try:
            np.savez(target, **outputs)
        except OSError as problem:
            raise DeviceError(f"cannot write {target}", problem.strerror or str(problem)) from None
        shapes = {name: list(array.shape) for name, array in outputs.items()}
        seconds = time.monotonic() - started
        return {"file": target, "shapes": shapes, "passport": passport, "seconds": seconds, "virtual": facts["virtual"]}

    found = for_each(hosts, connections(options), ask, options.forks)
    width = max((len(name) for name in found), default=0)
    for name, done in found.items():
        if isinstance(done, FleetError):
            print(done, file=sys.stderr)
            continue
        shapes = ", ".join(f"{output} {shape}" for output, shape in done["shapes"].items())
        virtual = ", virtual" if done["virtual"] else ""
        print(f"{name:<{width}}  {done['passport']['precision']}{virtual}  {shapes}  {done['file']}")
    return statuses(found)
