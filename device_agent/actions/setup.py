"""The device's facts under Ansible's names."""

import fnmatch

from ..arguments import Integer, Sequence, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..facts import ansible
from ..results import Result


@accepts(
    gather_subset=Sequence(Text(), default=("all",)),
    gather_timeout=Integer(default=10, minimum=1),
    filter=Sequence(Text(), default=()),
    fact_path=Path(default=ansible.FACTS_FOLDER),
)
def setup(args, context):
    """Read facts.

    args:
        gather_subset ([str]): all, min, hardware, network, single topics; `!` before a name leaves it out
        filter ([str]): patterns of the names to return, with or without ansible_ in front
    data:
        ansible_facts ({ansible_name: value}); warnings, where a topic could not be read
    """
    for name in args.gather_subset:
        bare = name[1:] if name.startswith("!") else name
        known = ("all",) + ansible.GROUPS + tuple(ansible.COLLECTORS) + ansible.EMPTY
        if bare not in known:
            raise ActionError(
                "setup: argument 'gather_subset' has '{}'".format(name),
                "allowed, also with ! in front: {}".format(", ".join(sorted(known))),
                kind="refused",
                argument="gather_subset",
            )
    facts, problems = ansible.gather(args.gather_subset, args.fact_path)
    named = {"ansible_" + name: value for name, value in facts.items()}
    if args.filter:
        named = {name: value for name, value in named.items() if any(_matches(name, p) for p in args.filter)}
    else:
        named["ansible_gather_subset"] = list(args.gather_subset)
    data = {"ansible_facts": named}
    if problems:
        data["warnings"] = ["facts not read: " + problem for problem in problems]
    return Result(False, data)


def _matches(name, pattern):
    return fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name[len("ansible_") :], pattern)
