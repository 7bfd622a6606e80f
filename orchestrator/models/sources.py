"""The network of a specification as an nn.Module in fp32 and eval mode (needs torch; runs in the export worker)."""

from __future__ import annotations

import importlib
import pickle
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orchestrator.errors import Location, ModelError
from orchestrator.models.graphs import first_line
from orchestrator.models.project import is_project_file
from orchestrator.models.spec import ModelSpec, Source
from orchestrator.models.surgery import near

BROKEN = (Exception, SystemExit)
"""What the user's code may raise: a module that calls sys.exit() must not take the worker with it."""
LISTED = 8
"""How many keys of a state_dict an error names of each kind."""


def load_network(spec: ModelSpec) -> torch.nn.Module:
    """The network with its weights, on the CPU.

    Raises:
        ModelError: the checkpoint cannot be read, is not what its format says, or does not fit the factory's network;
            the factory cannot be imported or fails (at the user's own line).
    """
    source = spec.source
    if source.format == "torchscript":
        network = _torchscript(source.checkpoint)
    elif source.format == "module":
        network = _module(source)
    else:
        network = _factory(source)
        _load_weights(network, _state(source), source)
    # Half-precision checkpoints are common; the reference is what the weights say in fp32.
    return network.float().eval()


def users_frame(error: BaseException) -> Location | None:
    """Where in the user's own code an exception came from: the innermost frame outside of installed packages."""
    if isinstance(error, SyntaxError) and error.filename:
        return Location(error.filename, error.lineno or 0, 0, (error.text or "").rstrip())
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_project_file(frame.filename)]
    return Location(own[-1].filename, own[-1].lineno or 0, 0, own[-1].line or "") if own else None


def _factory(source: Source) -> torch.nn.Module:
    assert source.factory is not None
    module_name, function_name = source.factory.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module_name or module_name.startswith(f"{missing}."):
            folders = ", ".join(map(str, source.path))
            raise ModelError(
                f"cannot import factory '{source.factory}'",
                f"there is no module '{missing}' in {folders}",
                "mend `source.factory`, or name the module's folder in `source.path`",
            ) from None
        raise _failed_import(source, error, f"install {missing.split('.')[0]} where fleet runs") from None
    except BROKEN as error:
        raise _failed_import(source, error, "mend the line above") from None
    target: Any = module
    for part in function_name.split("."):
        if not hasattr(target, part):
            known = [name for name in vars(target) if callable(getattr(target, name)) and not name.startswith("_")]
            why = near(part, known, "function")
            raise ModelError(
                f"module '{module_name}' ({module.__file__}) has no '{part}'", why, "mend `source.factory`"
            )
        target = getattr(target, part)
    try:
        network = target(*source.args, **source.kwargs)
    except BROKEN as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        remedy = "mend the line above, or `source.args` and `source.kwargs`"
        raise ModelError(f"factory '{source.factory}' failed", why, remedy, location=users_frame(error)) from None
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"factory '{source.factory}' returned {type(network).__name__}, not a torch.nn.Module")
    return network


def _failed_import(source: Source, error: BaseException, remedy: str) -> ModelError:
    why = f"{type(error).__name__}: {first_line(error)}"
    return ModelError(f"cannot import factory '{source.factory}'", why, remedy, location=users_frame(error))


def _state(source: Source) -> dict[str, torch.Tensor]:
    """The checkpoint's weights by name."""
    if source.format == "safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            loaded: Any = load_file(source.checkpoint)
        except (SafetensorError, OSError) as error:
            raise _unreadable(source.checkpoint, error) from None
    else:
        loaded = _load(source.checkpoint, trust=source.trust)
    name = source.checkpoint.name
    if isinstance(loaded, torch.nn.Module):
        raise ModelError(f"{name} holds a whole module, not a state_dict", "", "remove `factory`, or save the weights")
    if source.key is not None:
        loaded = _descend(loaded, source.key, name)
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise _no_state(loaded, source)
    # DataParallel and DistributedDataParallel put the same word before every name.
    if loaded and all(key.startswith("module.") for key in loaded):
        return {key.removeprefix("module."): value for key, value in loaded.items()}
    return dict(loaded)


def _descend(loaded: Any, key: str, name: str) -> Any:
    for part in [key] if isinstance(loaded, Mapping) and key in loaded else key.split("."):
        if not isinstance(loaded, Mapping) or part not in loaded:
            known = [str(k) for k in loaded] if isinstance(loaded, Mapping) else []
            raise ModelError(f"{name} has no key '{part}'", near(part, known, "key"), "mend `source.key`")
        loaded = loaded[part]
    return loaded


def _no_state(loaded: Any, source: Source) -> ModelError:
    what = f"{source.checkpoint.name} holds no state_dict" + (f" under '{source.key}'" if source.key else "")
    if not isinstance(loaded, Mapping):
        return ModelError(what, f"it holds a {type(loaded).__name__}")
    inner = [
        str(key)
        for key, value in loaded.items()
        if isinstance(value, Mapping) and value and all(isinstance(v, torch.Tensor) for v in value.values())
    ]
    why = f"it holds {', '.join(str(key) for key in list(loaded)[:LISTED]) or 'nothing'}"
    prefix = f"{source.key}." if source.key else ""
    return ModelError(what, why, f"say `source.key: {prefix}{inner[0]}`" if inner else "")


def _load_weights(network: torch.nn.Module, state: dict[str, torch.Tensor], source: Source) -> None:
    own = network.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    misfits = [
        f"{key} ({list(state[key].shape)} in the file, {list(own[key].shape)} in the network)"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = [("shapes differ", misfits)]
    if source.strict:
        problems = [("missing", missing), ("unexpected", unexpected), *problems]
    elif len(missing) == len(own):
        problems = [("missing", missing), *problems]
    problems = [(word, keys) for word, keys in problems if keys]
    if problems:
        raise ModelError(
            f"{source.checkpoint.name} does not fit the network of {source.factory}",
            "; ".join(f"{word}: {_listed(keys)}" for word, keys in problems),
            "mend the factory or its arguments, name the right `source.key`, or say `strict: false` to leave keys out",
        )
    network.load_state_dict(state, strict=False)


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return ", ".join(keys[:LISTED]) + more


def _torchscript(path: Path) -> torch.nn.Module:
    try:
        return torch.jit.load(str(path), map_location="cpu")
    except Exception as error:  # torch raises RuntimeError, ValueError and others for a damaged archive
        raise _unreadable(path, error) from None


def _module(source: Source) -> torch.nn.Module:
    loaded = _load(source.checkpoint, trust=True)
    if source.key is not None:
        loaded = _descend(loaded, source.key, source.checkpoint.name)
    if isinstance(loaded, torch.nn.Module):
        return loaded
    if isinstance(loaded, Mapping):
        remedy = "it looks like weights: name a `factory`, or `source.key` where the module stands"
        raise ModelError(f"{source.checkpoint.name} holds a mapping, not a module", "", remedy)
    raise ModelError(f"{source.checkpoint.name} holds a {type(loaded).__name__}, not a torch.nn.Module")


def _load(path: Path, *, trust: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        unsafe = re.search(r"(?:GLOBAL|global:?)\s+`?([\w.]+)", str(error))
        if unsafe:
            raise ModelError(
                f"{path.name} holds more than weights: it would run {unsafe[1]} when opened",
                "only tensors and plain values are unpickled, since anything else can run code",
                "save torch.save(model.state_dict(), ...) instead; or, if you made the file, say `source.trust: true`",
            ) from None
        raise _unreadable(path, error) from None
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{path.name} needs module '{error.name}' to be opened",
            "a pickled module holds the names of its classes, not their code",
            "name the folder of that module in `source.path`",
        ) from None
    except Exception as error:  # a damaged file shows as RuntimeError, EOFError, KeyError, ...
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> ModelError:
    return ModelError(
        f"{path.name} is truncated, damaged or no checkpoint ({path.stat().st_size} bytes)",
        first_line(error),
        "copy it again, or save it again",
    )
