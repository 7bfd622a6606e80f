"""The variables that Fleet reads: their kinds, their defaults, and what is refused."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InventoryError
from orchestrator.inventory import Host, load_inventory
from orchestrator.inventory.secrets import Secret
from orchestrator.inventory.settings import VARIABLES, HostSettings, defaults, documentation, settings
from orchestrator.inventory.variables import FLEET

DOCS = Path(__file__).parents[2] / "docs" / "inventory-variables.md"


def of(**variables: Any) -> HostSettings:
    return settings(Host("nano-01", variables))


def test_a_bare_host_has_the_defaults() -> None:
    bare = of()
    assert (bare.name, bare.host, bare.port, bare.user, bare.connection) == ("nano-01", "nano-01", None, None, "ssh")
    assert (bare.power_mode, bare.clocks, bare.fan, bare.allow_reboot) == ("keep", "keep", "keep", False)
    assert (bare.host_key_checking, bare.models, bare.precisions) == ("strict", [], None)


@pytest.mark.parametrize(
    ("variable", "value", "field", "meaning"),
    [
        ("ansible_host", "10.0.0.1", "host", "10.0.0.1"),
        ("ansible_ssh_host", "10.0.0.2", "host", "10.0.0.2"),
        ("ansible_port", "2222", "port", 2222),
        ("ansible_user", "nvidia", "user", "nvidia"),
        ("ansible_password", 1234, "password", Secret("1234")),
        ("ansible_ssh_pass", "pw", "password", Secret("pw")),
        ("ansible_become_pass", "pw", "become_password", Secret("pw")),
        ("ansible_private_key_file", "~/.ssh/lab", "private_key_file", "~/.ssh/lab"),
        ("ansible_ssh_common_args", "-J gate", "proxy_jump", "gate"),
        ("ansible_ssh_common_args", "-Jgate", "proxy_jump", "gate"),
        ("ansible_ssh_common_args", "-o ProxyJump=me@gate:23,inner", "proxy_jump", "me@gate:23,inner"),
        ("ansible_ssh_common_args", "-oproxyjump=gate -o ControlMaster=auto", "proxy_jump", "gate"),
        ("ansible_ssh_common_args", '-o "ProxyJump gate"', "proxy_jump", "gate"),
        ("ansible_ssh_common_args", "-o ProxyJump=none", "proxy_jump", None),
        ("ansible_ssh_extra_args", "-J gate", "proxy_jump", "gate"),
        ("ansible_python_interpreter", "/usr/bin/python3.6", "python_interpreter", "/usr/bin/python3.6"),
        ("ansible_python_interpreter", "auto_silent", "python_interpreter", None),
        ("ansible_connection", "local", "connection", "local"),
        ("ansible_connection", "paramiko_ssh", "connection", "ssh"),
        ("fleet_connection", "local", "connection", "local"),
        ("fleet_models", ["digits"], "models", ["digits"]),
        ("fleet_opset", 13, "opset", 13),
        ("fleet_precisions", ["fp16", "fp32"], "precisions", ["fp16", "fp32"]),
        ("fleet_workspace", "auto", "workspace", "auto"),
        ("fleet_workspace", "256", "workspace", 256),
        ("fleet_power_mode", "MODE_15W", "power_mode", "MODE_15W"),
        ("fleet_allow_reboot", "yes", "allow_reboot", True),
        ("fleet_allow_reboot", "off", "allow_reboot", False),
        ("fleet_host_key_checking", "accept-new", "host_key_checking", "accept-new"),
        ("ansible_host_key_checking", True, "host_key_checking", "strict"),
        ("fleet_host_key_alias", "nano-01.usb", "host_key_alias", "nano-01.usb"),
        ("fleet_root", "/data/fleet", "root", "/data/fleet"),
        ("ansible_port", None, "port", None),
    ],
)
def test_a_variable_means(variable: str, value: Any, field: str, meaning: Any) -> None:
    assert getattr(of(**{variable: value}), field) == meaning


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("ansible_port", 0, "found 0"),
        ("ansible_port", "ssh", "found 'ssh'"),
        ("ansible_port", 22.5, "found 22.5"),
        ("ansible_port", True, "found True"),
        ("ansible_host", ["a"], "found ['a']"),
        ("ansible_host", "", "found ''"),
        ("ansible_connection", "winrm", "found 'winrm'"),
        ("ansible_become_method", "su", "found 'su'"),
        ("ansible_python_interpreter", "python3", "not an absolute path"),
        ("ansible_ssh_common_args", "-o StrictHostKeyChecking=no", "fleet_host_key_checking: accept-new"),
        ("ansible_ssh_common_args", "-o ProxyCommand='ssh -W %h:%p gate'", "~/.ssh/config"),
        ("ansible_ssh_common_args", "-v", "'-v' is not understood"),
        ("ansible_ssh_common_args", "-J", "-J needs a value"),
        ("ansible_ssh_common_args", "-o 'x", "quotation"),
        ("fleet_models", "digits", "write [digits]"),
        ("fleet_opset", 8, "found 8"),
        ("fleet_precisions", ["fp16", "bf16"], "found 'bf16'"),
        ("fleet_precisions", [], "empty"),
        ("fleet_precisions", ["fp16", "fp16"], "twice"),
        ("fleet_workspace", "0", "found 0"),
        ("fleet_clocks", "maximum", "found 'maximum'"),
        ("fleet_fan", True, "found True"),
        ("fleet_allow_reboot", "perhaps", "found 'perhaps'"),
        ("fleet_host_key_checking", "off", "always checked"),
        ("ansible_host_key_checking", False, "always checked"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(variable: str, value: Any, why: str) -> None:
    with pytest.raises(InventoryError) as caught:
        of(**{variable: value})
    assert caught.value.what.startswith(f"'{variable}' of nano-01 must be ")
    assert why.lower() in caught.value.why.lower()


def test_the_more_specific_name_wins() -> None:
    assert of(ansible_ssh_pass="b", ansible_password="a").password == Secret("b")
    assert of(fleet_connection="lab", ansible_connection="local", fleet_lab_profile="nano").connection == "lab"
    checking = of(ansible_host_key_checking=True, fleet_host_key_checking="accept-new").host_key_checking
    assert checking == "accept-new"
    assert of(ansible_ssh_common_args="-J gate", ansible_ssh_extra_args="-o ControlMaster=auto").proxy_jump == "gate"


def test_an_unknown_fleet_variable_is_refused_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text("lab:\n  vars:\n    fleet_powermode: fastest\n  hosts:\n    h1:\n")
    with pytest.raises(InventoryError, match="unknown variable 'fleet_powermode'") as caught:
        settings(load_inventory("lab.yml", cwd=tmp_path).host("h1"))
    assert caught.value.remedy == "did you mean 'fleet_power_mode'?"
    assert caught.value.location is not None
    assert (caught.value.location.line, caught.value.location.column) == (3, 5)


def test_other_peoples_variables_are_left_alone() -> None:
    assert of(ansible_shell_type="sh", rack=7, my_fleet_thing=1).host == "nano-01"


def test_a_lab_device_needs_a_profile() -> None:
    with pytest.raises(InventoryError, match="virtual Jetson of no kind"):
        of(fleet_connection="lab")


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("{{ ip }}", "10.0.0.9"),
        ("{{ net }}.9", "10.0.0.9"),
        ("{{ indirect }}", "10.0.0.9"),
        ("{{ indirect ~ '' }}", "10.0.0.9"),
        ("{% if true %}{{ ip }}{% endif %}", "10.0.0.9"),
        ("{{ ip }}{{ '' }}", "10.0.0.9"),
        ("{{ none }}", "nano-01"),
        ("{{ missing | default('x') }}", "x"),
        ("{{ groups.all[0] }}", "first"),
        ("{{ inventory_hostname }}.lan", "nano-01.lan"),
    ],
)
def test_a_template_is_evaluated(value: str, meaning: str) -> None:
    others = {"net": "10.0.0", "ip": "{{ net }}.9", "indirect": "{{ ip }}", "groups": {"all": ["first"]}}
    assert of(ansible_host=value, inventory_hostname="nano-01", **others).host == meaning


def test_a_template_keeps_the_type_of_its_value() -> None:
    others = {"mine": ["a", "b"], "base": 2200, "pw": "1e5"}
    known = of(fleet_models="{{ mine }}", ansible_port="{{ base + 1 }}", ansible_password="{{ pw }}", **others)
    assert (known.models, known.port, known.password) == (["a", "b"], 2201, Secret("1e5"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("{{ nowhere }}", "'nowhere' is undefined"),
        ("{{ nowhere }}.x", "'nowhere' is undefined"),
        ("{{ ansible_host }}", "refers to itself"),
        ("a{{ ansible_host }}", "refers to itself"),
        ("{{ 1 + }}", "unexpected"),
        ("{{ ''.__class__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division"),
        ("{{ 'a' + 1 }}", "str"),
    ],
)
def test_a_template_that_cannot_be_evaluated_is_refused(value: str, why: str) -> None:
    with pytest.raises(InventoryError, match="the template in 'ansible_host' of nano-01") as caught:
        of(ansible_host=value)
    assert why in caught.value.why.lower()
    assert of(ansible_host="{{ fine }}", fine="x").host == "x"


def test_a_secret_never_prints() -> None:
    known = of(ansible_password="hunter2", ansible_become_password="hunter3")
    assert "hunter" not in repr(known)
    assert f"{known.password} {known.password!r} {known.password!s:>5}" == "*** ***   ***"
    assert known.password is not None
    assert known.password.reveal() == "hunter2"
    assert known.password != known.become_password
    with pytest.raises(TypeError):
        json.dumps({"password": known.password})
    with pytest.raises(TypeError):
        pickle.dumps(known.password)
    with pytest.raises(InventoryError) as caught:
        of(ansible_password=["hunter2"])
    assert "hunter" not in str(caught.value)


def test_every_row_of_the_table_has_its_field_and_the_reverse() -> None:
    assert {variable.field for variable in VARIABLES} == {field.name for field in fields(HostSettings)} - {"name"}
    names = [name for variable in VARIABLES for name in variable.names]
    assert len(names) == len(set(names))
    assert all(variable.help.endswith(".") and "\n" not in variable.help for variable in VARIABLES)


def test_defaults_are_valid_values_of_their_variables() -> None:
    assert set(defaults()) == {variable.name for variable in FLEET}
    for variable in VARIABLES:
        if variable.default is not None:
            assert variable.kind.read(variable.default) == variable.default
    assert of(**defaults()) == of()


def test_the_documentation_is_up_to_date() -> None:
    wanted = "run: python -m orchestrator.inventory.settings > docs/inventory-variables.md"
    assert DOCS.read_text() == documentation(), wanted


def test_templates_have_the_filters_and_lookups_of_playbooks(monkeypatch):
    monkeypatch.setenv("FLEET_TEST_PASSWORD", "hunter22")
    variables = {
        "n": 7,
        "ansible_host": "10.0.0.{{ n | int + 1 }}",
        "ansible_user": "{{ none | default('u', true) }}",
        "ansible_password": "{{ lookup('env', 'FLEET_TEST_PASSWORD') }}",
    }
    found = settings(Host("nano-01", variables))
    assert (found.host, found.user, found.password.reveal()) == ("10.0.0.8", "u", "hunter22")
