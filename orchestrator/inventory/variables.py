"""The table of every inventory variable that Fleet itself reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.inventory.kinds import (
    FLAG,
    HOST_KEY_CHECKING,
    INTERPRETER,
    JUMP,
    PATH,
    SECRET,
    TEXT,
    TEXTS,
    Kind,
    list_of,
    one_of,
    whole,
)


@dataclass(frozen=True)
class Variable:
    """One row of the table."""

    name: str
    field: str
    """Of HostSettings."""
    kind: Kind
    default: Any
    help: str
    otherwise: str = ""
    """What happens without the variable, where `default` (None) does not say it."""
    aliases: tuple[str, ...] = ()
    """Ansible's other names; the last one that is set wins, as there."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the one that wins last."""
        ours = self.name.startswith("fleet_")
        return (*self.aliases, self.name) if ours else (self.name, *self.aliases)


CONNECTION = (
    Variable(
        "ansible_host",
        "host",
        TEXT,
        None,
        "Address of the device, or its name in ~/.ssh/config.",
        "the inventory name",
        ("ansible_ssh_host",),
    ),
    Variable(
        "ansible_port",
        "port",
        whole(1, 65535),
        None,
        "Port of its SSH server.",
        "~/.ssh/config, else 22",
        ("ansible_ssh_port",),
    ),
    Variable(
        "ansible_user", "user", TEXT, None, "Login user.", "~/.ssh/config, else your own name", ("ansible_ssh_user",)
    ),
    Variable(
        "ansible_password",
        "password",
        SECRET,
        None,
        "Login password.",
        "keys only",
        ("ansible_ssh_pass", "ansible_ssh_password"),
    ),
    Variable(
        "ansible_become_password",
        "become_password",
        SECRET,
        None,
        "Password for sudo; travels on standard input only.",
        "passwordless sudo",
        ("ansible_become_pass", "ansible_sudo_pass"),
    ),
    Variable("ansible_become_method", "become_method", one_of("sudo"), "sudo", "How root is reached."),
    Variable(
        "ansible_ssh_private_key_file",
        "private_key_file",
        PATH,
        None,
        "Private key on the controller.",
        "~/.ssh/config, the SSH agent, the usual files",
        ("ansible_private_key_file",),
    ),
    Variable(
        "ansible_ssh_common_args",
        "proxy_jump",
        JUMP,
        None,
        "`-J HOST` or `-o ProxyJump=HOST`: reach the device through other hosts.",
        "~/.ssh/config, else direct",
        ("ansible_ssh_extra_args",),
    ),
    Variable(
        "ansible_python_interpreter",
        "python_interpreter",
        INTERPRETER,
        None,
        "Python that runs the agent. TensorRT's bindings exist for the system's only.",
        "/usr/bin/python3",
    ),
    Variable(
        "ansible_connection",
        "connection",
        one_of("ssh", "smart", "paramiko", "paramiko_ssh", "local"),
        "ssh",
        "How the device is reached; `local` is this machine.",
    ),
)

FLEET = (
    Variable(
        "fleet_connection",
        "connection",
        one_of("ssh", "local", "lab"),
        None,
        "As `ansible_connection`, and wins over it; `lab` is a virtual Jetson, started on demand.",
        "ansible_connection",
    ),
    Variable(
        "fleet_lab_profile",
        "lab_profile",
        TEXT,
        None,
        "Which board a virtual Jetson imitates.",
        "needed where fleet_connection is lab",
    ),
    Variable(
        "fleet_lab_faults",
        "lab_faults",
        TEXTS,
        [],
        "What is wrong with a virtual Jetson as flashed, `NAME` or `NAME:VALUE`; `fleet lab fault --help` lists them.",
    ),
    Variable(
        "fleet_host_key_alias",
        "host_key_alias",
        TEXT,
        None,
        "Name under which the host key is kept; tells boards behind one USB address apart.",
        "the address",
    ),
    Variable(
        "fleet_host_key_checking",
        "host_key_checking",
        HOST_KEY_CHECKING,
        "strict",
        "`strict` refuses a device never seen before (see `fleet trust`), `accept-new` trusts it; "
        "a changed key is always refused.",
        "",
        ("ansible_host_key_checking", "ansible_ssh_host_key_checking"),
    ),
    Variable(
        "fleet_root",
        "root",
        PATH,
        None,
        "Folder on the device for engines, models and jobs.",
        "/var/lib/fleet, else ~/.local/share/fleet",
    ),
    Variable(
        "fleet_models",
        "models",
        TEXTS,
        [],
        "Models of the device: paths of specifications, or names of playbooks/models.",
    ),
    Variable("fleet_opset", "opset", whole(9, 24), None, "ONNX opset of its exports.", "that of its JetPack"),
    Variable(
        "fleet_precisions",
        "precisions",
        list_of("fp32", "fp16", "int8"),
        None,
        "Precisions to try, best first; the first whose engine is right is used.",
        "those of the model",
    ),
    Variable(
        "fleet_workspace",
        "workspace",
        whole(1, words=("auto",)),
        None,
        "TensorRT's workspace in MiB; auto fits it to the free memory.",
        "that of the model",
    ),
    Variable(
        "fleet_power_mode", "power_mode", TEXT, "keep", "`keep`, `fastest`, or the name of a mode of its nvpmodel."
    ),
    Variable(
        "fleet_clocks",
        "clocks",
        one_of("keep", "max"),
        "keep",
        "`max` locks the clocks at the mode's maximum (jetson_clocks).",
    ),
    Variable("fleet_fan", "fan", one_of("keep", "max"), "keep", "`max` runs the fan at full speed."),
    Variable(
        "fleet_allow_reboot", "allow_reboot", FLAG, False, "Whether a change of the power mode may reboot the device."
    ),
)
