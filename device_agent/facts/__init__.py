"""What the device is and how it stands, read and not interpreted; docs/architecture.md lists the names.

Every topic is read on its own: one that breaks leaves its names null and says so in `problems`, the others stand.
"""

from . import clocks, power, software, system


def gather(root, quick=False):
    """All raw facts as a dict that JSON can carry; never raises.

    args:
        root (Root): fleet_root in use; trtexec's help is remembered below it
        quick (bool): leave null what needs a tool to be run (packages, cuda, trtexec), for a look at state alone
    """
    facts = {"root": root.path, "problems": []}
    topics = [(system.NAMES, lambda: system.read(root))]
    if not quick:
        topics.append((software.NAMES, lambda: software.read(root)))
    # l4t falls back on a package's version, so it comes after the packages.
    topics.append((("l4t",), lambda: {"l4t": software.l4t(facts.get("packages"))}))
    topics.append((("power",), lambda: {"power": power.read()}))
    topics.append((("clocks",), lambda: {"clocks": clocks.read()}))
    for name in software.NAMES:
        facts[name] = None
    for names, read in topics:
        try:
            facts.update(read())
        except Exception as problem:
            facts.update({name: None for name in names})
            facts["problems"].append("{}: {}: {}".format(names[0], type(problem).__name__, problem))
    return facts
