"""How to log in to a host: which keys and passwords are offered, and which are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.errors import AuthenticationError


def reveal(secret: Any) -> str | None:
    """The text of a password that may be wrapped in a type that prints `***`."""
    if secret is None:
        return None
    text = secret.reveal() if hasattr(secret, "reveal") else str(secret)
    return text or None


def login_arguments(
    user: str, private_key_file: str | None, password: Any, identity_files: list[str]
) -> dict[str, Any]:
    """Arguments of `paramiko.SSHClient.connect` for a login; a fresh dict at each call, since Fabric changes it.

    A configured key or password is the only thing offered: an SSH agent with many keys would use up the server's
    tries before the right one. Without either, the agent's keys and ~/.ssh/id_* are offered.

    Args:
        user: for messages.
        private_key_file: the inventory's; a missing file is an error.
        password: a string or secret.
        identity_files: those of ~/.ssh/config; missing ones are skipped, as OpenSSH does.

    Raises:
        AuthenticationError: the inventory's key file cannot be read.
    """
    files = [Path(file).expanduser() for file in identity_files]
    files = [file for file in files if file.is_file()]
    if private_key_file:
        file = Path(private_key_file).expanduser()
        try:
            file.open("rb").close()
        except OSError as problem:
            raise AuthenticationError(
                f"cannot read the private key {file}",
                problem.strerror or str(problem),
                "mend ansible_ssh_private_key_file",
            ) from None
        files = [file]
    secret = reveal(password)
    arguments: dict[str, Any] = {}
    keys = [file for file in files if not _needs_passphrase(file)]
    locked = [file for file in files if file not in keys]
    if locked and (held := _from_agent(locked)) is not None:
        arguments["pkey"] = held
    elif locked and not keys and not secret:
        raise AuthenticationError(
            f"the private key {locked[0]} is protected by a passphrase",
            "Fleet asks for no passphrases and no SSH agent holds this key",
            f"ssh-add {locked[0]}",
        )
    if keys:
        arguments["key_filename"] = [str(file) for file in keys]
    if secret:
        arguments["password"] = secret
    configured = bool(files or secret)
    arguments["allow_agent"] = not configured
    arguments["look_for_keys"] = not configured
    return arguments


def _needs_passphrase(file: Path) -> bool:
    import paramiko

    try:
        paramiko.PKey.from_path(file)
    except (paramiko.PasswordRequiredException, TypeError):
        return True
    except Exception:
        return False  # what is wrong with the file comes out at the login, with the reason
    return False


def _from_agent(files: list[Path]) -> Any:
    """The SSH agent's key whose public half lies beside one of `files`."""
    import paramiko

    wanted = set()
    for file in files:
        public = file.with_name(file.name + ".pub")
        if public.is_file():
            wanted.update(public.read_text(errors="replace").split()[1:2])
    try:
        return next((key for key in paramiko.Agent().get_keys() if key.get_base64() in wanted), None)
    except (paramiko.SSHException, OSError):
        return None
