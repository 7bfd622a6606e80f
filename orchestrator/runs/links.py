"""The devices that one host's tasks run on: its own, and those that tasks are delegated to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.errors import FleetError, PlaybookError
from orchestrator.events import HostState
from orchestrator.inventory.variables import CONNECTION
from orchestrator.language.expressions import render

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.events import Events
    from orchestrator.inventory.inventory import Host, Inventory
    from orchestrator.playbook.context import HostContext
    from orchestrator.playbook.structure import Play, Task

_CONNECTION = frozenset(name for variable in CONNECTION for name in variable.names)
LOCAL = ("localhost", "127.0.0.1", "::1")


class Links:
    """Opens connections when they are needed and closes them all at the end.

    Args:
        connect: makes a connected Device of a host, or raises an UnreachableError.
    """

    def __init__(self, inventory: Inventory, connect: Callable[[Host], Device], events: Events) -> None:
        self._inventory = inventory
        self._connect = connect
        self._events = events
        self._own: dict[tuple[Any, ...], Device] = {}
        self._others: dict[str, Device] = {}

    def of_play(self, context: HostContext, play: Play, variables: Mapping[str, Any]) -> Device:
        """The host's device, reached as the play says.

        Raises:
            UnreachableError: by subclass, why there is no connection.
        """
        said = {"ansible_connection": play.connection, "ansible_user": play.remote_user}
        keywords = {name: render(value, variables, play.location) for name, value in said.items() if value is not None}
        own = context.host.variables
        # Variables win over keywords, and those of the play and the command line over the inventory's.
        stated = {
            name: value
            for name, value in variables.items()
            if name.startswith(("ansible_", "fleet_")) and name in _CONNECTION and own.get(name) != value
        }
        changed = {**{name: value for name, value in keywords.items() if name not in own}, **stated}
        key = tuple(sorted((name, str(value)) for name, value in changed.items()))
        if key not in self._own:
            self._events(HostState(host=context.host.name, state="connecting"))
            host = replace(context.host, variables={**own, **changed}) if changed else context.host
            self._own[key] = self._connect(host)
        return self._own[key]

    def delegate(self, name: str, task: Task) -> Device:
        """The device of another host, or the controller itself.

        Raises:
            PlaybookError: there is no such host. UnreachableError: it cannot be reached.
        """
        if name not in self._others:
            try:
                host = self._inventory.host(name)
            except FleetError as problem:
                what = f"cannot delegate to '{name}'"
                raise PlaybookError(what, problem.what, "delegate_to: localhost", location=task.location) from None
            if name in LOCAL and "ansible_connection" not in host.variables:
                host = replace(host, variables={**host.variables, "ansible_connection": "local"})
            self._others[name] = self._connect(host)
        return self._others[name]

    def close(self) -> None:
        for device in (*self._own.values(), *self._others.values()):
            device.close()
