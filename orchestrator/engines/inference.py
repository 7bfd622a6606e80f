"""Runs the active engine of a device on arrays and brings the outputs here."""

from __future__ import annotations

import base64
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents import nearest
from orchestrator.engines.launches import raw
from orchestrator.errors import ActionError, DeviceError, ModelError, RunError
from orchestrator.platforms.operators import int64_bindings

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.store import Store

# What rides in a reply instead of going over SFTP, which costs several round trips.
INLINE_BYTES = 64 << 10


def read_inputs(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file by name.

    Raises:
        ModelError: missing, no .npz, or empty.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError) as problem:
        raise ModelError(f"cannot read {path}", str(problem), "write it with numpy.savez(FILE, input=array)") from None
    if not arrays:
        raise ModelError(f"{path} holds no array")
    if any(name.endswith("data.pkl") for name in arrays):
        raise ModelError(f"{path} is a torch checkpoint", "inputs are arrays", "numpy.savez('inputs.npz', NAME=array)")
    return arrays


def infer(
    device: Device, facts: Mapping[str, Any], model: str, arrays: Mapping[str, Any], store: Store
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outputs of a model's active engine, and that engine's passport.

    Args:
        arrays: per input, samples along axis 0, as many as you like; they are cut into the engine's batches, and the
            last batch is filled up with its last sample where the engine needs more.

    Raises:
        ModelError: an input is missing or has another shape than the engine.
        DeviceError: the model is not active on the device, or could not be run.
    """
    import numpy as np

    status = device.call("release_status", {"models": None}).data["models"]
    state = status.get(model)
    if not state or not state.get("current"):
        remedy = nearest(model, status) or f"fleet deploy --limit {device.name}"
        raise DeviceError(f"no model '{model}' is active here", f"active: {', '.join(status) or 'none'}", remedy)
    keys = [engine["key"] for engine in state["engines"]]
    found = device.call("engines", {"keys": keys}).data["engines"]
    # The engine with the largest batch needs the fewest launches.
    key = max(keys, key=lambda k: found[k]["passport"]["batch"])
    passport = found[key]["passport"]
    pieces = _cut(arrays, passport["parts"]["shapes"])
    wide = int64_bindings(facts["tensorrt"])
    launches, blobs = [], {}
    for piece, _ in pieces:
        tensors = raw(piece, int64_bindings=wide)
        inputs = []
        for tensor in tensors:
            digest = store.add_bytes(tensor.content)
            blobs[digest] = store.path(digest)
            inputs.append({"name": tensor.name, "blob": digest, "dtype": tensor.dtype, "shape": list(tensor.shape)})
        launches.append({"inputs": inputs})
    device.push_missing(blobs)
    job = {"key": key, "trtexec": facts["trtexec"], "launches": launches, "outputs": None}
    outputs = run_launches(device, f"infer-{key[:20]}-{secrets.token_hex(4)}", job)
    joined: dict[str, list[Any]] = {}
    for (_, rows), arrays_out in zip(pieces, outputs, strict=True):
        for name, array in arrays_out.items():
            joined.setdefault(name, []).append(array if rows is None else array[:rows])
    stack = np.concatenate if pieces[0][1] is not None else np.stack
    return {name: stack(parts) for name, parts in joined.items()}, passport


def _cut(arrays: Mapping[str, Any], shapes: Mapping[str, Any]) -> list[tuple[dict[str, Any], int | None]]:
    """Launches, each with the number of rows that count (None where axis 0 is no batch).

    Args:
        shapes: per input `dtype` and `shape` (-1 where open), and then `min` and `max`; from the engine's key.

    Raises:
        ModelError: what was given does not fit the engine.
    """
    import numpy as np

    missing = [name for name in shapes if name not in arrays]
    if missing:
        remedy = nearest(missing[0], arrays) or "name the arrays as the model's inputs"
        raise ModelError(
            f"no values for input {', '.join(missing)}", f"given: {', '.join(arrays) or 'nothing'}", remedy
        )
    # Files of samples hold labels too; they are not for the engine.
    arrays = {name: arrays[name] for name in shapes}
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise ModelError("the inputs hold different numbers of samples, or none", str(counts))
    cast = {name: np.asarray(array).astype(shapes[name]["dtype"], copy=False) for name, array in arrays.items()}
    batch = _batch(shapes.values())
    for name, array in cast.items():
        expected = shapes[name]["shape"]
        row = expected[1:] if batch else expected
        if array.ndim != len(row) + 1 or any(e not in (-1, a) for e, a in zip(row, array.shape[1:], strict=True)):
            wanted = ["samples", *("any" if size == -1 else size for size in row)]
            raise ModelError(f"input '{name}' has shape {list(array.shape)}", f"the engine takes {wanted}")
    count = next(iter(counts.values()))
    if batch is None:
        return [({name: array[i] for name, array in cast.items()}, None) for i in range(count)]
    least, most = batch
    pieces: list[tuple[dict[str, Any], int | None]] = []
    for start in range(0, count, most):
        rows = list(range(start, min(start + most, count)))
        filled = rows + [rows[-1]] * max(0, least - len(rows))
        pieces.append(({name: array[filled] for name, array in cast.items()}, len(rows)))
    return pieces


def _batch(shapes: Iterable[Mapping[str, Any]]) -> tuple[int, int] | None:
    """Smallest and largest batch, where axis 0 of every input is equally wide or equally open; else None."""
    ranges = [((s.get("min") or s["shape"])[:1], (s.get("max") or s["shape"])[:1]) for s in shapes]
    sizes = {(low[0], high[0]) if low else None for low, high in ranges}
    return sizes.pop() if len(sizes) == 1 else None


def run_launches(
    device: Device, name: str, job: Mapping[str, Any], on_event: Callable[[dict[str, Any]], None] | None = None
) -> list[dict[str, Any]]:
    """Run an engine on the device as the job `name`: per launch, output name -> array.

    Raises:
        RunError: the engine could not be run. ActionError: the job was lost or cancelled, which says nothing of the
            engine. TransferError: an output arrived damaged.
    """
    import numpy as np

    device.start_job(name, "run", job)
    ended = device.follow_job(name, on_event)
    if ended["state"] != "done":
        error = ended.get("error") or {}
        what = error.get("what") or f"the job is {ended['state']}"
        kind = RunError if ended["state"] == "failed" else ActionError
        raise kind(what, error.get("why") or "", error.get("remedy") or "")
    outputs = []
    for launch in ended["result"]["launches"]:
        arrays = {}
        for output in launch["outputs"]:
            content = fetch_bytes(device, output["path"], output["sha256"], output["size_bytes"])
            dtype = np.dtype(output["dtype"]).newbyteorder("<")
            arrays[output["name"]] = np.frombuffer(content, dtype).reshape(output["shape"])
        outputs.append(arrays)
    device.call("job_remove", {"id": name})
    return outputs


def fetch_bytes(device: Device, path: str, sha256: str | None = None, size_bytes: int | None = None) -> bytes:
    """A file of the device's fleet_root: in the call itself where it is small, over SFTP otherwise.

    Raises:
        TransferError: it arrived with another digest than `sha256`.
    """
    if size_bytes is not None and size_bytes <= INLINE_BYTES:
        data = device.call("file_read", {"path": path, "offset": 0, "limit": INLINE_BYTES}).data
        content = base64.b64decode(data["content"])
        if sha256 is None or hashlib.sha256(content).hexdigest() == sha256:
            return content
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "file"
        device.fetch(path, local, sha256)
        return local.read_bytes()
