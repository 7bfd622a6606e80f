"""What the variables of a host mean to Fleet, in typed form; and their documentation.

`python -m orchestrator.inventory.settings > docs/inventory-variables.md` writes the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.documents import nearest
from orchestrator.errors import InventoryError
from orchestrator.inventory.inventory import Host
from orchestrator.inventory.secrets import Secret
from orchestrator.inventory.templates import TemplateError, evaluate, is_template
from orchestrator.inventory.variables import CONNECTION, FLEET, Variable
from orchestrator.values import Vaulted

VARIABLES = (*CONNECTION, *FLEET)
_FLEET_NAMES = frozenset(variable.name for variable in FLEET)


@dataclass(frozen=True)
class HostSettings:
    """What the variables of a host mean to Fleet; None where nothing is said."""

    name: str
    """Inventory name."""
    host: str
    """Address, or a name of ~/.ssh/config."""
    port: int | None
    user: str | None
    password: Secret | None
    become_password: Secret | None
    become_method: str
    private_key_file: str | None
    proxy_jump: str | None
    """`[user@]host[:port]`, several separated by commas, in the order of ssh's ProxyJump."""
    python_interpreter: str | None
    connection: str
    """ssh, local or lab."""
    lab_profile: str | None
    lab_faults: list[str]
    host_key_alias: str | None
    host_key_checking: str
    """strict or accept-new."""
    root: str | None
    models: list[str]
    opset: int | None
    precisions: list[str] | None
    workspace: int | str | None
    """MiB, or auto."""
    power_mode: str
    clocks: str
    fan: str
    allow_reboot: bool


def settings(host: Host) -> HostSettings:
    """Read the variables of a host that mean something to Fleet, evaluating those that are templates.

    Raises:
        InventoryError: a value of the wrong kind, an unknown `fleet_` variable (with the nearest known one), or a
            template that cannot be evaluated; at the place where it stands.
    """
    for name in host.variables:
        if name.startswith("fleet_") and name not in _FLEET_NAMES:
            known = "see docs/inventory-variables.md for those there are"
            raise _error(host, name, f"unknown variable '{name}'", known, nearest(name, _FLEET_NAMES))
    values: dict[str, Any] = {"name": host.name}
    for variable in VARIABLES:
        value = _read(host, variable)
        if value is not None or variable.field not in values:
            values[variable.field] = value
    values["host"] = values["host"] or host.name
    if values["connection"] not in ("local", "lab"):
        values["connection"] = "ssh"
    if values["connection"] == "lab" and not values["lab_profile"]:
        raise _error(
            host,
            "fleet_connection",
            f"{host.name} is a virtual Jetson of no kind",
            "fleet_lab_profile is not set",
            "name a profile of the lab; inventory/lab.yml uses them all",
        )
    return HostSettings(**values)


def defaults() -> dict[str, Any]:
    """The values that `fleet_` variables have where nobody sets them, for templates and tasks."""
    return {variable.name: variable.default for variable in FLEET}


def _read(host: Host, variable: Variable) -> Any:
    value = variable.default
    for name in variable.names:
        given = host.variables.get(name)
        if isinstance(given, Vaulted):
            given = given.reveal()
        if is_template(given):
            try:
                given = evaluate(given, host.variables)
            except TemplateError as problem:
                what = f"the template in '{name}' of {host.name} cannot be evaluated"
                raise _error(host, name, what, str(problem), "") from None
        if given is None:
            continue
        try:
            meaning = variable.kind.read(given)
            value = value if meaning is None else meaning
        except ValueError as problem:
            what = f"'{name}' of {host.name} must be {variable.kind.label}"
            raise _error(host, name, what, str(problem), "") from None
    return value


def _error(host: Host, name: str, what: str, why: str, remedy: str) -> InventoryError:
    return InventoryError(what, why, remedy, location=host.origins.get(name))


def documentation() -> str:
    """The text of docs/inventory-variables.md."""
    lines = [
        "# Inventory variables",
        "",
        "Set them on a host, on a group, in `group_vars/` or `host_vars/`; precedence is Ansible's. Any other variable",
        "is yours, for playbooks; only names that begin with `fleet_` are reserved, and an unknown one is refused.",
        "",
        "This page is made from the table in `orchestrator/inventory/variables.py` by",
        "`python -m orchestrator.inventory.settings > docs/inventory-variables.md`.",
    ]
    for title, rows in (("Reaching a device", CONNECTION), ("Fleet's own", FLEET)):
        lines += ["", f"## {title}", "", "| variable | value | default | meaning |", "|---|---|---|---|"]
        lines += [_row(variable) for variable in rows]
    return "\n".join(lines) + "\n"


def _row(variable: Variable) -> str:
    default = variable.otherwise
    if variable.default is not None:
        default = f"`{str(variable.default).lower()}`"
    meaning = variable.help
    if variable.aliases:
        meaning += " Also " + ", ".join(f"`{name}`" for name in variable.aliases) + "."
    return f"| `{variable.name}` | {variable.kind.label} | {default} | {meaning} |"


if __name__ == "__main__":
    print(documentation(), end="")
