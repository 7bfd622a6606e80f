"""Settings of hosts for tests, without an inventory file."""

import sys
from dataclasses import replace

from orchestrator.inventory.inventory import Host
from orchestrator.inventory.secrets import Secret
from orchestrator.inventory.settings import HostSettings, settings


def host_settings(name="nano-01", **changes) -> HostSettings:
    """Settings of a host as if the inventory said nothing but `changes`."""
    said = settings(Host(name, {}, ()))
    values = {"host": "127.0.0.1", "user": "jetson", "python_interpreter": sys.executable, **changes}
    for secret in ("password", "become_password"):
        if values.get(secret):
            values[secret] = Secret(values[secret])
    return replace(said, **values)
