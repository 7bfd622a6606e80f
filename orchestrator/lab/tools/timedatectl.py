"""timedatectl: the clock, its synchronization and the time zone."""

from __future__ import annotations

import calendar
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clock
import device
import effects

SYNC = "systemd-timesyncd.service"


def main(argv: list[str]) -> int:
    flags = [arg for arg in argv if arg.startswith("-")]
    words = [arg for arg in argv if not arg.startswith("-")]
    if "-p" in argv:  # -p NAME is --property=NAME
        name = argv[argv.index("-p") + 1]
        flags, words = [*flags, f"--property={name}"], [word for word in words if word != name]
    verb = words[0] if words else "status"
    values = {
        "Timezone": _zone(),
        "LocalRTC": "no",
        "CanNTP": "yes",
        "NTP": "yes" if _ntp() else "no",
        "NTPSynchronized": "yes" if _ntp() and not clock.offset_s() else "no",
        "TimeUSec": time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(clock.now())),
    }
    if verb == "status":
        _status(values)
        return 0
    if verb == "show":
        asked = [f.split("=", 1)[1] for f in flags if f.startswith(("--property=", "-p="))]
        for name in ",".join(asked).split(",") if asked else values:
            if name in values:
                print(values[name] if "--value" in flags else f"{name}={values[name]}")
        return 0
    if verb == "list-timezones":
        print("\n".join(_zones()))
        return 0
    if verb not in ("set-time", "set-timezone", "set-ntp", "set-local-rtc"):
        print(f"Unknown operation {verb}.", file=sys.stderr)
        return 1
    if not device.is_root():
        print(f"Failed to {verb.replace('-', ' ')}: Interactive authentication required.", file=sys.stderr)
        return 1
    return _set(verb, words[1] if len(words) > 1 else "")


def _set(verb: str, value: str) -> int:
    if verb == "set-time":
        if _ntp():
            print("Failed to set time: Automatic time synchronization is enabled", file=sys.stderr)
            return 1
        for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
            try:
                clock.set_to(float(calendar.timegm(time.strptime(value.removesuffix(" UTC"), form))))
                return 0
            except ValueError:
                continue
        print(f"Failed to parse time specification '{value}': Invalid argument", file=sys.stderr)
        return 1
    if verb == "set-ntp":
        wanted = value in ("1", "yes", "true", "on")
        with device.changing() as state:
            unit = state["services"].setdefault(SYNC, {})
            unit.update(enabled=wanted, active=wanted)
        return 0
    if verb == "set-timezone":
        if not os.path.exists(f"/usr/share/zoneinfo/{value}") or not value or value.startswith(("/", ".")):
            print(f"Failed to set time zone: Invalid or not installed time zone '{value}'", file=sys.stderr)
            return 1
        effects.link("/etc/localtime", f"/usr/share/zoneinfo/{value}")
        device.write("/etc/timezone", value + "\n")
    return 0


def _ntp() -> bool:
    return bool(device.state()["services"].get(SYNC, {}).get("active"))


def _zone() -> str:
    try:
        target = os.readlink(device.path("/etc/localtime"))
    except OSError:
        return "Etc/UTC"
    return target.split("zoneinfo/", 1)[-1]


def _zones() -> list[str]:
    found = []
    for folder, _, names in os.walk("/usr/share/zoneinfo"):
        inner = os.path.relpath(folder, "/usr/share/zoneinfo")
        found += [os.path.normpath(os.path.join(inner, name)) for name in names if name[0].isupper()]
    return sorted(name for name in found if not name.startswith(("posix/", "right/")))


def _status(values: dict[str, str]) -> None:
    stamp = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(clock.now()))
    print(f"                      Local time: {stamp}")
    print(f"                  Universal time: {stamp}")
    print("                        RTC time: n/a")
    print(f"                       Time zone: {values['Timezone']} (UTC, +0000)")
    print(f"       System clock synchronized: {values['NTPSynchronized']}")
    print(f"systemd-timesyncd.service active: {values['NTP']}")
    print("                 RTC in local TZ: no")


if __name__ == "__main__":
    device.run(main)
