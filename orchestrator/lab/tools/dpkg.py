"""dpkg: the questions that dpkg-query answers, versions compared, the architecture, and audits that find nothing."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import dpkg_query
import packages

COMPARISONS = {
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
    "ge": lambda order: order >= 0,
    "gt": lambda order: order > 0,
}


def main(argv: list[str]) -> int:
    if not argv:
        print("dpkg: error: need an action option", file=sys.stderr)
        return 2
    action, rest = argv[0], argv[1:]
    if action == "--print-architecture":
        print("arm64")
        return 0
    if action == "--print-foreign-architectures":
        return 0
    if action == "--compare-versions" and len(rest) == 3 and rest[1] in COMPARISONS:
        return 0 if COMPARISONS[rest[1]](packages.compare(rest[0], rest[2])) else 1
    if action in ("-l", "--list", "-s", "--status"):
        return dpkg_query.main(argv)
    if action == "--get-selections":
        state = device.state()
        held = packages.held(state)
        for name in sorted(state["packages"]):
            print(f"{name}\t\t\t\t\t{'hold' if name in held else 'install'}")
        return 0
    if action == "--configure" or action in ("-C", "--audit"):
        if action == "--configure" and not device.is_root():
            print("dpkg: error: requested operation requires superuser privilege", file=sys.stderr)
            return 2
        return 0
    print(f"dpkg: error: unknown option {action}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    device.run(main)
