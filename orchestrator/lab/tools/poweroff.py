"""poweroff: reboot's sibling, which asks for the machine to stay down."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import reboot

if __name__ == "__main__":
    device.run(lambda argv: reboot.main(["--poweroff", *argv]))
