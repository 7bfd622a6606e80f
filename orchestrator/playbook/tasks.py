"""Reads one task: its module, arguments and keywords; what is not supported is refused where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.documents import Document, nearest
from orchestrator.language.expressions import has_template
from orchestrator.playbook import keywords
from orchestrator.playbook.inherit import conditions, inherit, listed, mapping, variable_name
from orchestrator.playbook.keyvalue import parse_key_values, split_free_form
from orchestrator.playbook.modules import LATER, Module, find_module, module_names, short_name
from orchestrator.playbook.modules.arguments import checked_value
from orchestrator.playbook.structure import Loop, Settings, Task

Path = tuple[Any, ...]

_LOOPS = {"loop": "loop", "with_items": "items", "with_dict": "dict", "with_fileglob": "fileglob"}
_LOOP_CONTROL = ("loop_var", "index_var", "label", "pause", "extended", "extended_allitems", "break_when")


def read_task(document: Document, value: Any, path: Path, outer: Settings, *, handler: bool = False) -> Task:
    """The task at `path`, with what it inherits from `outer`.

    Raises:
        PlaybookError: an unknown or unsupported keyword, module or argument, or a value of the wrong shape.
    """
    if not isinstance(value, dict):
        raise document.fail("a task is a mapping", "with a module's name as one of its keys", path=path)
    known = keywords.HANDLER if handler else keywords.TASK
    value, key, given, local = _module_of(document, value, path, known)
    where = (*path, key)
    module = find_module(str(given["module"]))
    assert module is not None
    args = _arguments(document, module, given["args"], mapping(document, value, "args", path), where, path)
    settings = inherit(outer, document, value, path)
    if local:
        settings = replace(settings, delegate_to="localhost")
    _complete(document, module, args, settings, where)
    return Task(
        name=str(value.get("name") or given["module"]),
        module=module,
        args=args,
        location=document.location(*path),
        settings=settings,
        register=_register(document, value, path),
        loop=_loop(document, value, path),
        until=conditions(document, value, "until", path),
        retries=value.get("retries"),
        delay_s=value.get("delay", 5),
        async_s=value.get("async", 0),
        poll_s=value.get("poll", 15),
        changed_when=conditions(document, value, "changed_when", path),
        failed_when=conditions(document, value, "failed_when", path),
        listen=tuple(str(topic) for topic in listed(value.get("listen"))),
    )


def _module_of(
    document: Document, value: Mapping[str, Any], path: Path, known: Iterable[str]
) -> tuple[Mapping[str, Any], Any, dict[str, Any], bool]:
    """The task without its module, the key that names it, `{module, args}`, and whether it runs on the controller."""
    names = [key for key in value if short_name(str(key)) not in known or key in ("action", "local_action")]
    found = []
    for key in names:
        if key in ("action", "local_action"):
            found.append((key, _action(document, value[key], (*path, key))))
        elif find_module(str(key)):
            found.append((key, {"module": key, "args": value[key]}))
        else:
            raise _unknown(document, str(key), path, known, found_one=bool(found))
    if len(found) != 1:
        why = f"it names {', '.join(str(key) for key, _ in found)}" if found else "it names none"
        raise document.fail("a task names exactly one module", why, path=path)
    key, given = found[0]
    rest = {name: item for name, item in value.items() if name != key}
    return rest, key, given, key == "local_action"


def _unknown(document: Document, key: str, path: Path, known: Iterable[str], *, found_one: bool) -> Exception:
    short = short_name(key)
    where = (*path, key)
    if short in LATER:
        return document.fail(f"module '{short}' is not supported yet", "it comes later", path=where)
    if short in keywords.REFUSED:
        return document.fail(f"'{short}' is not supported", remedy=keywords.REFUSED[short], path=where)
    why = "" if found_one else f"modules: {', '.join(module_names())}"
    what = f"unknown module or keyword '{key}'"
    return document.fail(what, why, nearest(short, [*known, *module_names()]), path=where)


def _action(document: Document, value: Any, path: Path) -> dict[str, Any]:
    """`action: copy src=a dest=b`, or `action: {module: copy, src: a, dest: b}`."""
    if isinstance(value, dict) and isinstance(value.get("module"), str):
        name, _, line = value["module"].partition(" ")
        args: Any = {key: item for key, item in value.items() if key != "module"} or None
        if line.strip():
            args = line.strip()
    elif isinstance(value, str) and value.strip():
        name, _, line = value.strip().partition(" ")
        args = line.strip() or None
    else:
        raise document.fail("an action names a module", "action: MODULE name=value ...", path=path)
    if not find_module(name):
        raise _unknown(document, name, path[:-1], (), found_one=False)
    return {"module": name, "args": args}


def _arguments(
    document: Document, module: Module, given: Any, extra: Mapping[str, Any], where: Path, path: Path
) -> dict[str, Any]:
    """The arguments as written: of a mapping, of a line, and of `args`."""
    if given is None:
        found: dict[str, Any] = {}
    elif isinstance(given, dict):
        found = given
    elif isinstance(given, str):
        found = _line(document, module, given, where)
    elif module.free_form is not None and isinstance(given, (int, float, bool)):
        found = {module.free_form: given}
    else:
        raise document.fail(f"the arguments of {module.name} are a mapping", path=where)
    for name in found:
        check_argument(document, module, name, found[name], (*where, name))
    for name in extra:
        check_argument(document, module, name, extra[name], (*path, "args", name))
    return {**extra, **found}


def _complete(document: Document, module: Module, args: Mapping[str, Any], settings: Settings, where: Path) -> None:
    given = {module.argument(str(name)) for name in (*settings.module_defaults.get(module.name, ()), *args)}
    missing = [name for name, argument in module.arguments.items() if argument.required and name not in given]
    if missing:
        raise document.fail(f"{module.name} needs {' and '.join(missing)}", path=where)


def _line(document: Document, module: Module, line: str, where: Path) -> dict[str, Any]:
    """Arguments that stand on the module's own line."""
    if module.free_form is not None:
        text, options = split_free_form(line, [name for name in module.known if name != module.free_form])
        if text or not options:
            options[module.free_form] = text
        return dict(options)
    try:
        return dict(parse_key_values(line))
    except ValueError as problem:
        why = f"'{problem}' is not name=value"
        raise document.fail(f"the arguments of {module.name} are a mapping", why, path=where) from None


def check_argument(document: Document, module: Module, name: Any, value: Any, path: Path) -> None:
    """Refuse an argument that the module lacks, or a constant that it cannot take.

    Raises:
        PlaybookError: at `path`, with the nearest argument or what is allowed.
    """
    own = module.argument(str(name))
    if own is None:
        if module.any_argument:
            return
        why = f"known here: {', '.join(module.known) or 'none'}"
        raise document.fail(f"{module.name} has no argument '{name}'", why, nearest(str(name), module.known), path=path)
    if value is None or own in module.raw or has_template(value):
        return
    try:
        checked_value(module, str(name), value)
    except document.error as problem:
        raise document.fail(problem.what, problem.why, problem.remedy, path=path) from None


def _register(document: Document, value: Mapping[str, Any], path: Path) -> str | None:
    name = value.get("register")
    return None if name is None else variable_name(document, name, (*path, "register"))


def _loop(document: Document, value: Mapping[str, Any], path: Path) -> Loop | None:
    written = [key for key in _LOOPS if key in value]
    control = mapping(document, value, "loop_control", path)
    if not written:
        if control:
            raise document.fail("loop_control without a loop", remedy="add loop", path=(*path, "loop_control"))
        return None
    if len(written) > 1:
        raise document.fail(f"a task has one loop, not {' and '.join(written)}", path=(*path, written[1]))
    if value[written[0]] is None:
        raise document.fail(f"{written[0]} is empty", remedy="loop: [a, b]", path=(*path, written[0]))
    document.check_keys(control, _LOOP_CONTROL, (*path, "loop_control"), noun="keyword of loop_control")
    here = (*path, "loop_control")
    for name in ("loop_var", "index_var"):
        if control.get(name) is not None:
            variable_name(document, control[name], (*here, name))
    return Loop(
        items=value[written[0]],
        kind=_LOOPS[written[0]],
        variable=control.get("loop_var") or "item",
        index=control.get("index_var"),
        label=control.get("label"),
        pause_s=control.get("pause", 0),
        extended=control.get("extended", False),
        extended_allitems=control.get("extended_allitems", True),
        break_when=conditions(document, control, "break_when", here),
    )
