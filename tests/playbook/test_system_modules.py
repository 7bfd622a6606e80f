"""Modules of packages, system and waiting: what they take is what their actions take, and what they refuse."""

import pytest

from device_agent import actions
from orchestrator.errors import PlaybookError
from orchestrator.playbook.modules import checked, find_module
from orchestrator.playbook.modules.families import FAMILIES

FAMILY = sorted(name for name, family in FAMILIES.items() if family in ("packages", "system", "waiting"))
PLACEHOLDERS = {"str": "x", "path": "/x", "int": 1, "float": 1, "bool": True, "list": ["x"], "any": "0644"}


class _Where:
    class task:
        location = None


@pytest.mark.parametrize("name", [name for name in FAMILY if find_module(name).action])
def test_every_argument_of_a_module_is_one_of_its_action(name):
    module = find_module(name)
    schema = actions.find(module.action).schema
    given = {
        key: argument.choices[0] if argument.choices else PLACEHOLDERS[argument.type]
        for key, argument in module.arguments.items()
    }
    given.update({"upgrade": "no", "force": False} if name == "apt" else {})
    given.pop("requirements", None)
    sent = {key: value for key, value in module.prepare(_Where, checked(module, given)).items() if value is not None}
    assert set(sent) <= set(schema)
    # What the agent offers and no playbook can say would be dead weight on the device.
    reachable = set(module.arguments) | {"requirements"}
    assert set(schema) <= reachable


@pytest.mark.parametrize("name", FAMILY)
def test_defaults_are_what_the_action_would_take_anyway(name):
    module = find_module(name)
    if not module.action:
        return
    for key, argument in actions.find(module.action).schema.items():
        declared = module.arguments.get(key)
        if declared is None or declared.default is None or argument.default is None:
            continue
        default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
        assert declared.default == default, key


@pytest.mark.parametrize(
    "name, args, said",
    [
        ("apt", {"upgrade": "dist"}, "upgrade is not offered"),
        ("apt", {"name": "x", "force": True}, "force is not offered"),
        ("apt", {"name": "x", "state": "build-dep"}, "build-dep"),
        ("pip", {}, "name or requirements"),
        ("pip", {"name": "x", "requirements": "/r"}, "name or requirements"),
        ("wait_for", {"port": 1, "state": "up"}, "up"),
        ("user", {"name": "x", "expires": "soon"}, "expires"),
        ("systemd", {"name": "x", "scope": "mine"}, "mine"),
    ],
)
def test_what_makes_no_sense_is_refused_on_the_controller(name, args, said):
    module = find_module(name)
    with pytest.raises(PlaybookError) as caught:
        module.prepare(_Where, checked(module, args))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name, alias, argument",
    [
        ("apt", "pkg", "name"),
        ("apt", "package", "name"),
        ("systemd", "unit", "name"),
        ("systemd", "service", "name"),
        ("systemd", "daemon-reload", "daemon_reload"),
        ("user", "user", "name"),
        ("user", "createhome", "create_home"),
        ("sysctl", "key", "name"),
    ],
)
def test_names_that_ansible_knows_an_argument_by_are_known(name, alias, argument):
    assert find_module(name).argument(alias) == argument


def test_modules_are_found_by_their_collections_names():
    for name in ("ansible.builtin.apt", "ansible.posix.sysctl", "community.general.timezone", "ansible.builtin.setup"):
        assert find_module(name).name == name.rpartition(".")[2]
