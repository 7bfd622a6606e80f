"""SSH keys of the lab: one pair for the user, one host key per device, each made once."""

from __future__ import annotations

import os
from pathlib import Path


def ensure_key(file: Path, comment: str) -> str:
    """Make an Ed25519 private key (mode 0600) at `file` unless it is there; returns the public line."""
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = file.with_name(file.name + ".pub")
    if file.exists() and public.exists():
        return public.read_text(encoding="ascii").strip()
    file.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.OpenSSH, ser.NoEncryption())
    line = key.public_key().public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH).decode() + f" {comment}"
    file.unlink(missing_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(private)
    public.write_text(line + "\n", encoding="ascii")
    return line
