"""Kinds of values that an inventory variable can have: each turns what YAML gave into what the code wants."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.inventory.secrets import Secret

_TRUE = ("true", "yes", "on", "1", "y", "t")
_FALSE = ("false", "no", "off", "0", "n", "f")
# Options of ssh that only matter to how Ansible reuses connections: one session per device makes them idle.
_IDLE_SSH_OPTIONS = ("controlmaster", "controlpath", "controlpersist", "serveraliveinterval", "serveralivecountmax")


@dataclass(frozen=True)
class Kind:
    """A type of value: how it is called in the documentation, and how it is read.

    `read` raises ValueError with a reason that follows "must be <label>: ".
    """

    label: str
    read: Callable[[Any], Any]


def _text(value: Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise ValueError(f"found {value!r}")


def _secret(value: Any) -> Secret:
    # The value stays out of every message.
    if isinstance(value, Secret):
        return value
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return Secret(str(value))
    raise ValueError(f"found a {type(value).__name__}; quote it")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in _TRUE:
        return True
    if str(value).lower() in _FALSE:
        return False
    raise ValueError(f"found {value!r}")


def _host_key_checking(value: Any) -> str:
    if value in ("strict", "accept-new"):
        return value
    if value is True or str(value).lower() in _TRUE:
        return "strict"
    if value is False or str(value).lower() in _FALSE:
        raise ValueError("host keys are always checked; accept-new takes the key of a device never seen before")
    raise ValueError(f"found {value!r}")


def _interpreter(value: Any) -> str | None:
    # Ansible's discovery modes; the system's Python is the one that TensorRT's bindings exist for.
    if str(value) in ("auto", "auto_silent", "auto_legacy", "auto_legacy_silent"):
        return None
    text = _text(value)
    if not text.startswith("/"):
        raise ValueError(f"found {value!r}, which is not an absolute path")
    return text


def _jump(value: Any) -> str | None:
    jump = None
    words = shlex.split(_text(value))
    while words:
        word = words.pop(0)
        if word in ("-o", "-J"):
            if not words:
                raise ValueError(f"{word} needs a value")
            name, _, given = (
                words.pop(0).replace(" ", "=", 1) if word == "-o" else f"ProxyJump={words.pop(0)}"
            ).partition("=")
        elif word.startswith("-o"):
            name, _, given = word[2:].partition("=")
        elif word.startswith("-J"):
            name, given = "ProxyJump", word[2:]
        else:
            raise ValueError(f"'{word}' is not understood; -J HOST and -o ProxyJump=HOST are")
        key = name.strip().lower()
        if key == "proxyjump" and given.strip():
            jump = given.strip()
        elif key in ("stricthostkeychecking", "userknownhostsfile"):
            raise ValueError(f"{name} is not taken over; set fleet_host_key_checking: accept-new")
        elif key not in _IDLE_SSH_OPTIONS:
            raise ValueError(f"-o {name} is not understood; put it into ~/.ssh/config, which is read")
    return None if jump in (None, "none") else jump


def _texts(value: Any) -> list[str]:
    if isinstance(value, str) or not isinstance(value, list):
        raise ValueError(f"found {value!r}; write [{value}]")
    return [_text(item) for item in value]


TEXT = Kind("text", _text)
PATH = Kind("a path", _text)
SECRET = Kind("text, kept out of all output", _secret)
FLAG = Kind("true or false", _flag)
TEXTS = Kind("a list", _texts)
INTERPRETER = Kind("an absolute path, or auto", _interpreter)
JUMP = Kind("arguments of ssh", _jump)
HOST_KEY_CHECKING = Kind("strict or accept-new", _host_key_checking)


def whole(low: int, high: int | None = None, *, words: tuple[str, ...] = ()) -> Kind:
    """A whole number between two bounds, both included, or one of some words."""

    def read(value: Any) -> int | str:
        if isinstance(value, str) and value in words:
            return value
        try:
            if isinstance(value, (bool, float)):
                raise ValueError
            number = int(value)
        except (TypeError, ValueError):
            raise ValueError(f"found {value!r}") from None
        if number < low or (high is not None and number > high):
            raise ValueError(f"found {number}")
        return number

    bounds = f"from {low} to {high}" if high is not None else f"of {low} or more"
    return Kind(", or ".join([f"a whole number {bounds}", *words]), read)


def one_of(*words: str) -> Kind:
    """One of some words."""

    def read(value: Any) -> str:
        if value in words:
            return value
        raise ValueError(f"found {value!r}")

    return Kind(_either(words), read)


def list_of(*words: str) -> Kind:
    """A list of one or more different words out of some."""

    def read(value: Any) -> list[str]:
        texts = _texts(value)
        wrong = [text for text in texts if text not in words]
        if wrong:
            raise ValueError(f"found {wrong[0]!r}")
        if not texts or len(set(texts)) < len(texts):
            raise ValueError("found an empty list" if not texts else "found one of them twice")
        return texts

    return Kind(f"a list of {_either(words)}", read)


def _either(words: tuple[str, ...]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
