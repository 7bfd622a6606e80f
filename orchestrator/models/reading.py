"""Reads a model specification from YAML, with every mistake shown where it stands."""

from __future__ import annotations

import re
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from orchestrator.documents import Document, Keys, nearest
from orchestrator.errors import ModelError
from orchestrator.models.spec import (
    DTYPES,
    FORMATS,
    PRECISIONS,
    After,
    BatchRange,
    Build,
    Dimension,
    Input,
    ModelSpec,
    Samples,
    Source,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_KEYS = tuple(field.name for field in fields(ModelSpec) if field.name != "file")
_MISSING = object()


def load_spec(path: str | Path) -> ModelSpec:
    """Read a specification; relative paths in it start at its own folder.

    Raises:
        ModelError: with file, line and column: not YAML, an unknown key, a value that makes no sense, a file that is
            not there, a pickled module without `trust: true`.
    """
    document = Document.read(path, ModelError)
    return _Reader(document, Path(path).resolve()).spec()


class _Reader:
    """Typed access to one document; `at` is always the path of the mapping that is being read."""

    def __init__(self, document: Document, file: Path) -> None:
        self.document = document
        self.file = file
        self.folder = file.parent

    def spec(self) -> ModelSpec:
        data = self.document.data
        if not isinstance(data, dict):
            raise self.fail((), "a model specification is a mapping", "it starts with `name:`, `source:` and `inputs:`")
        self.document.check_keys(data, _KEYS)
        name = self.get(data, (), "name", str)
        if not _NAME.fullmatch(name):
            raise self.fail(("name",), f"'{name}' cannot name a model", "letters, digits, '.', '_' and '-' only")
        inputs = self.inputs(data)
        batches = self.batches(data, inputs)
        source = self.source(data)
        half = self.get(data, (), "half", bool, False)
        if half and source.format == "onnx":
            why = "a ready graph keeps its types"
            raise self.fail(("half",), "`half: true` needs a PyTorch source", why, "export the .onnx file in fp16")
        return ModelSpec(
            name=name,
            file=self.file,
            source=source,
            inputs=inputs,
            outputs=self.strings(data, (), "outputs"),
            batches=batches,
            precisions=self.precisions(data),
            tolerances=self.tolerances(data),
            samples=self.samples(data),
            opset=self.whole(data, (), "opset", None, least=7),
            half=half,
            simplify=self.get(data, (), "simplify", bool, True),
            surgery=self.surgery(data),
            build=self.build(data),
            after=self.after(data),
            classes=self.get(data, (), "classes", bool, True),
        )

    # Sections, in the order in which people write them.

    def source(self, top: dict) -> Source:
        at: Keys = ("source",)
        data = self.mapping(top, (), "source")
        self.document.check_keys(
            data, ["checkpoint", "factory", "args", "kwargs", "path", "format", "trust", "key", "strict"], at
        )
        checkpoint = self.existing(data, at, "checkpoint", "make the checkpoint first, or mend the path")
        factory = self.get(data, at, "factory", str, None)
        if factory is not None and not _FACTORY.fullmatch(factory):
            raise self.fail((*at, "factory"), f"'{factory}' is no factory", "write it as `module:function`")
        trust = self.get(data, at, "trust", bool, False)
        format_ = self.get(data, at, "format", str, None)
        if format_ is None:
            format_ = _infer_format(checkpoint, factory)
            if format_ is None:
                raise self.fail(
                    (*at, "checkpoint"),
                    f"{checkpoint.name} is truncated or damaged ({checkpoint.stat().st_size} bytes)",
                    "it begins like an archive of torch.save and does not end like one",
                    "copy it again, or save it again",
                )
        elif format_ not in FORMATS:
            raise self.unknown((*at, "format"), "format", format_, FORMATS)
        if format_ in ("state_dict", "safetensors") and factory is None:
            raise self.fail(
                (*at, "checkpoint"),
                f"{checkpoint.name} holds weights only, and no factory is named",
                "weights need the code that makes the network: add `factory: module:function`",
            )
        if format_ not in ("state_dict", "safetensors") and factory is not None:
            raise self.fail(
                (*at, "factory"),
                f"a factory means nothing for a source of format {format_}",
                "the file holds the whole network",
                "remove `factory`, or `format`",
            )
        if format_ == "module" and not trust:
            raise self.fail(
                (*at, "checkpoint"),
                f"{checkpoint.name} is a pickled module, which is not opened without `trust: true`",
                "unpickling runs whatever code the file carries, with your rights",
                "save the weights alone (torch.save(model.state_dict(), ...)) and name a factory; or, if you made the "
                "file yourself, add `trust: true` under `source`",
            )
        folders = tuple(self.folder / p for p in self.strings(data, at, "path")) or (self.folder,)
        for index, folder in enumerate(folders):
            if not folder.is_dir():
                raise self.fail((*at, "path", index), f"no such folder: {folder}")
        args = self.get(data, at, "args", list, [])
        kwargs = self.mapping(data, at, "kwargs", {})
        key = self.get(data, at, "key", str, None)
        strict = self.get(data, at, "strict", bool, True)
        return Source(checkpoint, format_, factory, tuple(args), kwargs, folders, key, strict, trust)

    def inputs(self, top: dict) -> tuple[Input, ...]:
        listed = self.get(top, (), "inputs", list)
        if not listed:
            raise self.fail(("inputs",), "a model needs at least one input")
        inputs: list[Input] = []
        for index in range(len(listed)):
            at: Keys = ("inputs", index)
            data = self.mapping(listed, ("inputs",), index)
            self.document.check_keys(data, ["name", "shape", "dtype", "range", "min", "opt", "max"], at)
            name = self.get(data, at, "name", str)
            if name in (known.name for known in inputs):
                raise self.fail((*at, "name"), f"two inputs are named '{name}'")
            dtype = self.get(data, at, "dtype", str, "float32")
            if dtype not in DTYPES:
                raise self.unknown((*at, "dtype"), "dtype", dtype, DTYPES)
            shape = self.shape(data, at)
            profile = {key: self.profile(data, at, key, shape) for key in ("min", "opt", "max") if key in data}
            self._check_profile(at, shape, profile)
            inputs.append(Input(name, shape, dtype, self.range(data, at), **profile))
        return tuple(inputs)

    def shape(self, data: dict, at: Keys) -> tuple[Dimension, ...]:
        shape = self.get(data, at, "shape", list)
        for index, size in enumerate(shape):
            number = isinstance(size, int) and not isinstance(size, bool) and (size > 0 or size == -1)
            if not number and not (isinstance(size, str) and size.isidentifier()):
                raise self.fail(
                    (*at, "shape", index),
                    f"{size!r} is no dimension",
                    "a dimension is a size above 0, `batch`, another name, or -1 (both left open)",
                )
        return tuple(shape)

    def profile(self, data: dict, at: Keys, key: str, shape: tuple[Dimension, ...]) -> tuple[int, ...]:
        sizes = self.get(data, at, key, list)
        if len(sizes) != len(shape):
            raise self.fail((*at, key), f"`{key}` has {len(sizes)} dimensions, `shape` {len(shape)}")
        for index, (size, declared) in enumerate(zip(sizes, shape, strict=True)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise self.fail((*at, key, index), f"{size!r} is no size", "a whole number above 0")
            if isinstance(declared, int) and declared > 0 and size != declared:
                raise self.fail((*at, key, index), f"`{key}` says {size} where `shape` is fixed at {declared}")
        return tuple(sizes)

    def _check_profile(self, at: Keys, shape: tuple[Dimension, ...], profile: dict[str, tuple[int, ...]]) -> None:
        unresolved = [size for size in shape if size == -1 or (isinstance(size, str) and size != "batch")]
        if profile and len(profile) < 3:
            missing = ", ".join(f"`{key}`" for key in ("min", "opt", "max") if key not in profile)
            raise self.fail(at, f"a range needs min, opt and max shapes; {missing} missing")
        if unresolved and not profile:
            raise self.fail(
                (*at, "shape"),
                f"dimension {unresolved[0]} is left open, and its sizes are not given",
                "TensorRT needs the smallest, the usual and the largest shape",
                "add `min`, `opt` and `max` shapes to this input",
            )
        if profile and all(isinstance(size, int) and size > 0 for size in shape):
            raise self.fail(at, "min, opt and max mean nothing where every dimension of `shape` is fixed")
        if profile:
            for low, middle, high in zip(profile["min"], profile["opt"], profile["max"], strict=True):
                if not low <= middle <= high:
                    raise self.fail((*at, "min"), f"not min <= opt <= max: {low}, {middle}, {high}")

    def range(self, data: dict, at: Keys) -> tuple[float, float] | None:
        limits = self.get(data, at, "range", list, None)
        if limits is None:
            return None
        if len(limits) != 2 or not all(_is_number(n) for n in limits) or limits[0] > limits[1]:
            raise self.fail((*at, "range"), f"{limits} is no range", "write it as [low, high]")
        return limits[0], limits[1]

    def batches(self, top: dict, inputs: tuple[Input, ...]) -> tuple[int | BatchRange, ...]:
        open_inputs = [i for i in inputs if "batch" in i.shape and i.min is None]
        if "batches" not in top:
            return (1,)
        if not open_inputs:
            why = "no input has a dimension named `batch` without min, opt and max shapes of its own"
            raise self.fail(("batches",), "`batches` has nothing to fill", why)
        listed = self.get(top, (), "batches", list)
        batches: list[int | BatchRange] = []
        for index, item in enumerate(listed):
            at: Keys = ("batches", index)
            if isinstance(item, dict):
                self.document.check_keys(item, ("min", "opt", "max"), at)
                low, middle, high = (self.whole(item, at, key, least=1) or 0 for key in ("min", "opt", "max"))
                if not low <= middle <= high:
                    raise self.fail(at, f"not min <= opt <= max: {low}, {middle}, {high}")
                batches.append(BatchRange(low, middle, high))
            elif isinstance(item, int) and not isinstance(item, bool) and item > 0:
                batches.append(item)
            else:
                raise self.fail(at, f"{item!r} is no batch", "a size above 0, or {min: 1, opt: 8, max: 32}")
        sizes = [b if isinstance(b, int) else b.max for b in batches]
        if not batches or len(set(sizes)) < len(sizes):
            raise self.fail(("batches",), "`batches` needs one size or more, each (or each `max`) only once")
        return tuple(batches)

    def precisions(self, top: dict) -> tuple[str, ...]:
        ladder = self.strings(top, (), "precisions", ("fp16", "fp32"))
        for index, precision in enumerate(ladder):
            if precision not in PRECISIONS:
                raise self.unknown(("precisions", index), "precision", precision, PRECISIONS)
            if precision in ladder[:index]:
                raise self.fail(("precisions", index), f"{precision} stands twice in the ladder")
        if not ladder:
            raise self.fail(("precisions",), "the ladder of precisions is empty")
        return ladder

    def tolerances(self, top: dict) -> dict[str, dict[str, float | None]]:
        result: dict[str, dict[str, float | None]] = {}
        data = self.mapping(top, (), "tolerances", {})
        self.document.check_keys(data, PRECISIONS, ("tolerances",), noun="precision")
        for precision in data:
            at: Keys = ("tolerances", precision)
            limits = self.mapping(data, ("tolerances",), precision)
            self.document.check_keys(limits, ("atol", "rtol", "outside", "cosine", "top1"), at, noun="tolerance")
            for key, value in limits.items():
                highest = None if key in ("atol", "rtol") else 1
                if value is not None and (not _is_number(value) or value < 0 or (highest and value > highest)):
                    raise self.fail((*at, key), f"{value!r} is no {key}", "a number from 0" + (" to 1" * bool(highest)))
            result[precision] = dict(limits)
        return result

    def samples(self, top: dict) -> Samples:
        at: Keys = ("samples",)
        data = self.mapping(top, (), "samples", {})
        self.document.check_keys(data, ("inputs", "labels", "seed", "count"), at)
        inputs = self.existing(data, at, "inputs", "mend the path, or leave it out for random samples", optional=True)
        labels = self.get(data, at, "labels", str, None)
        if labels and not inputs:
            raise self.fail((*at, "labels"), "labels need `inputs`, the .npz that holds them")
        seed = self.whole(data, at, "seed", 0, least=0) or 0
        return Samples(inputs, labels, seed, self.whole(data, at, "count", None, least=1))

    def surgery(self, top: dict) -> tuple[dict, ...]:
        from orchestrator.models.surgery import check_operations

        listed = self.get(top, (), "surgery", list, [])
        check_operations(self.document, listed, ("surgery",))
        return tuple(listed)

    def build(self, top: dict) -> Build:
        at: Keys = ("build",)
        data = self.mapping(top, (), "build", {})
        self.document.check_keys(data, ["workspace", "tool", "timing_cache", "timeout_s", "options"], at)
        workspace = data.get("workspace", "auto")
        if workspace != "auto" and (not isinstance(workspace, int) or isinstance(workspace, bool) or workspace < 1):
            raise self.fail((*at, "workspace"), f"{workspace!r} is no workspace", "MiB as a whole number, or `auto`")
        tool = self.get(data, at, "tool", str, "trtexec")
        if tool != "trtexec":
            raise self.unknown((*at, "tool"), "tool", tool, ("trtexec",))
        options = self.mapping(data, at, "options", {})
        here = (*at, "options")
        self.document.check_keys(options, ("dla_core", "opt_level", "extra"), here, noun="option")
        self.whole(options, here, "dla_core", None, least=0)
        self.whole(options, here, "opt_level", None, least=0)
        self.strings(options, here, "extra")
        caching = self.get(data, at, "timing_cache", bool, True)
        timeout_s = self.whole(data, at, "timeout_s", Build.timeout_s, least=1) or Build.timeout_s
        return Build(workspace, tool, caching, timeout_s, options)

    def after(self, top: dict) -> After | None:
        at: Keys = ("after",)
        data = self.mapping(top, (), "after", {})
        self.document.check_keys(data, ("service", "command"), at)
        if not data:
            return None
        command = data.get("command")
        if isinstance(command, list):
            command = self.strings(data, at, "command")
        elif command is not None:
            command = self.get(data, at, "command", str)
        return After(self.get(data, at, "service", str, None), command)

    # Values.

    def get(self, data: Any, at: Keys, key: str, kind: type, default: Any = _MISSING) -> Any:
        value = data.get(key, default)
        if value is _MISSING:
            raise self.fail(at, f"`{key}` is missing" + (f" in `{at[-1]}`" if at and isinstance(at[-1], str) else ""))
        if value is default:
            return value
        if not isinstance(value, kind):
            words = {str: "text", bool: "true or false", list: "a list", int: "a whole number"}
            raise self.fail((*at, key), f"`{key}` must be {words[kind]}, not {value!r}")
        return value

    def whole(self, data: dict, at: Keys, key: str, default: Any = _MISSING, *, least: int) -> int | None:
        value = self.get(data, at, key, int, default)
        if value is not default and (isinstance(value, bool) or value < least):
            raise self.fail((*at, key), f"`{key}` must be a whole number from {least}, not {value!r}")
        return value

    def mapping(self, data: Any, at: Keys, key: str | int, default: Any = _MISSING) -> dict:
        if default is not _MISSING and key not in data:
            return default
        if isinstance(key, str) and key not in data:
            raise self.fail(at, f"`{key}` is missing")
        if not isinstance(data[key], dict):
            raise self.fail((*at, key), f"`{key}` must be a mapping, not {data[key]!r}")
        return data[key]

    def strings(self, data: dict, at: Keys, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        items = self.get(data, at, key, list, default)
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise self.fail((*at, key, index), f"`{key}` holds text only, not {item!r}")
        return tuple(items)

    def existing(self, data: dict, at: Keys, key: str, remedy: str, *, optional: bool = False) -> Any:
        name = self.get(data, at, key, str, None) if optional else self.get(data, at, key, str)
        if name is None:
            return None
        path = self.folder / Path(name).expanduser()
        if not path.is_file():
            raise self.fail((*at, key), f"no such file: {path}", "paths start at the specification's folder", remedy)
        return path

    def fail(self, path: Keys, what: str, why: str = "", remedy: str = "") -> ModelError:
        return self.document.fail(what, why, remedy, path=path)  # type: ignore[return-value]

    def unknown(self, path: Keys, noun: str, value: str, known: tuple[str, ...]) -> ModelError:
        return self.fail(path, f"unknown {noun} '{value}'", f"known: {', '.join(known)}", nearest(value, known))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _infer_format(checkpoint: Path, factory: str | None) -> str | None:
    suffix = checkpoint.suffix.lower()
    if suffix in (".onnx", ".safetensors"):
        return suffix[1:]
    if factory is not None:
        return "state_dict"
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        with checkpoint.open("rb") as file:
            return None if file.read(2) == b"PK" else "module"
    # Both are zip archives of torch; only a TorchScript program brings code of its own.
    return "torchscript" if any("/code/" in name for name in names) else "module"
