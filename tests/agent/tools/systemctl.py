"""A systemctl over PREFIX/fake/units.json: {unit: {active, enabled, masked, fails}}; every call is logged."""

import json
import sys
from pathlib import Path

prefix, words = Path(sys.argv[1]), [word for word in sys.argv[2:] if not word.startswith("--")]
path = prefix / "fake/units.json"
units = json.loads(path.read_text())
with (prefix / "fake/systemctl.calls").open("a") as log:
    log.write(" ".join(sys.argv[2:]) + "\n")
verb, name = words[0], words[1] if len(words) > 1 else None
if verb in ("daemon-reload", "daemon-reexec"):
    sys.exit(0)
unit = units.get(name)
if verb == "show":
    load = "not-found" if unit is None else "masked" if unit.get("masked") else "loaded"
    active = "active" if unit and unit.get("active") else "inactive"
    print(f"Id={name}.service\nLoadState={load}\nActiveState={active}")
elif verb == "is-enabled":
    if unit is None:
        sys.exit(f"Failed to get unit file state for {name}.service: No such file or directory")
    print("masked" if unit.get("masked") else "enabled" if unit.get("enabled") else "disabled")
    sys.exit(0 if unit.get("enabled") else 1)
elif verb == "is-active":
    print("active" if unit and unit.get("active") else "inactive")
elif unit is None:
    sys.exit(f"Failed to {verb} {name}.service: Unit {name}.service not found.")
elif unit.get("fails") and verb in ("start", "restart"):
    sys.exit(f"Job for {name}.service failed because the control process exited with error code.")
else:
    unit.update(
        {
            "start": {"active": True},
            "restart": {"active": True},
            "reload": {},
            "stop": {"active": False},
            "enable": {"enabled": True},
            "disable": {"enabled": False},
            "mask": {"masked": True},
            "unmask": {"masked": False},
        }[verb]
    )
    path.write_text(json.dumps(units))
