"""One tree of errors: what failed, on which device, why, and what to do.

FleetError
├── ConfigurationError          exit code 1: the user's input; no device was changed because of it
│   ├── UsageError              a command line that makes no sense
│   ├── InventoryError          an inventory, a pattern or a variable
│   ├── ModelError              a model specification, checkpoint, factory or export
│   └── PlaybookError           a playbook, task, expression or module argument
├── DeviceError                 exit code 2: this device failed, the others go on
│   ├── ActionError             an action of the agent was refused or failed
│   ├── ProtocolError           the agent's stream broke its contract
│   ├── TransferError           bytes arrived wrong or not at all
│   ├── BlockedError            known before any work: this device cannot have this engine
│   ├── BuildError              the engine could not be built
│   ├── RunError                the engine was built and could not be run
│   └── VerdictError            the engine was built and its outputs are wrong
└── UnreachableError            exit code 4: no session with this device
    ├── ConnectError            no route, refused, timed out, connection lost
    ├── AuthenticationError     the device refused our keys and passwords
    ├── UnknownHostKeyError     never seen this device's key
    └── ChangedHostKeyError     the device's key is not the one we trusted
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A place in a user's file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    text: str = ""
    """The user's own line, shown under the message."""

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


class FleetError(Exception):
    """A failure that a user can read: one line what, one line why, one line what to do.

    Args:
        what: what failed, in one line, without the device's name.
        why: the cause as far as it is known.
        remedy: what the user can do, ideally a command.
        device: inventory name of the device, if there is one.
        location: where in the user's files.
        log: path of the full log; printed last, on a line of its own.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        why: str = "",
        remedy: str = "",
        *,
        device: str | None = None,
        location: Location | None = None,
        log: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.remedy = remedy
        self.device = device
        self.location = location
        self.log = log

    def __str__(self) -> str:
        """The error as people see it: `device: what`, then the indented why, remedy and log."""
        lines = []
        head = self.what
        if self.location:
            head = f"{self.location}: {head}"
        if self.device:
            head = f"{self.device}: {head}"
        lines.append(head)
        if self.location and self.location.text:
            lines.append(f"    {self.location.text.rstrip()}")
            if self.location.column:
                lines.append("    " + " " * (self.location.column - 1) + "^")
        if self.why:
            lines.append(f"  {self.why}")
        if self.remedy:
            lines.append(f"  try: {self.remedy}")
        if self.log:
            lines.append(f"  log: {self.log}")
        return "\n".join(lines)

    def on(self, device: str) -> FleetError:
        """The same error, said of a device (kept if it already names one)."""
        self.device = self.device or device
        return self

    def to_json(self) -> dict[str, str | None]:
        """The `error` object of result.json."""
        what = f"{self.location}: {self.what}" if self.location else self.what
        return {"what": what, "why": self.why, "remedy": self.remedy, "log": self.log}


class ConfigurationError(FleetError):
    exit_code = 1


class UsageError(ConfigurationError):
    pass


class InventoryError(ConfigurationError):
    pass


class ModelError(ConfigurationError):
    pass


class PlaybookError(ConfigurationError):
    pass


class DeviceError(FleetError):
    exit_code = 2


class ActionError(DeviceError):
    pass


class ProtocolError(DeviceError):
    pass


class TransferError(DeviceError):
    pass


class BlockedError(DeviceError):
    pass


class BuildError(DeviceError):
    pass


class RunError(DeviceError):
    pass


class VerdictError(DeviceError):
    pass


class UnreachableError(FleetError):
    exit_code = 4


class ConnectError(UnreachableError):
    pass


class AuthenticationError(UnreachableError):
    pass


class UnknownHostKeyError(UnreachableError):
    pass


class ChangedHostKeyError(UnreachableError):
    pass
