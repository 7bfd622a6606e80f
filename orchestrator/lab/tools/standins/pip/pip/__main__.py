"""`python3 -m pip`: hands over to the lab's pip."""

import os
import sys

os.environ["FLEET_LAB_PIP"] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The lab's own Python says how it wants to be started.
os.execv("/bin/sh", ["sh", "/.lab/python", "-S", "-E", "-s", "/.lab/tools/pip.py"] + sys.argv[1:])
