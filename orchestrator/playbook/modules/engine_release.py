"""The last steps of a deploy: artifacts home, an atomic switch to the proved engines, a word to the application."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
from pathlib import Path
from typing import Any

from orchestrator.engines.inference import fetch_bytes
from orchestrator.engines.work import BUILT, Work
from orchestrator.errors import ActionError, DeviceError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module
from orchestrator.playbook.modules.engine_plan import report
from orchestrator.reports.text import size


@module("engine_fetch")
def engine_fetch(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Bring engines, passports, build logs and timing caches to `runs/<id>/artifacts/<host>/<model>/`.

    What is here already, by digest, is not fetched again.

    Returns files.
    """
    if task.check:
        return Outcome(skipped="nothing is fetched in check mode")
    fetched = 0
    works: list[Work] = [w for w in task.scratch["engines"] if w.stands]
    for work in works:
        folder = task.run.directory / "artifacts" / task.name / work.spec.name
        folder.mkdir(parents=True, exist_ok=True)
        fetched += _engine(task, work, folder / work.file)
        fetched += _companions(task, work, folder)
    files = [str(path) for work in works for path in work.files.values()]
    return Outcome(False, {"files": files}, message=f"{size(fetched)} fetched" if fetched else "all here already")


def _engine(task: TaskContext, work: Work, target: Path) -> int:
    store, digest = task.run.store, work.engine["sha256"]
    fetched = 0
    if not store.has(digest):
        task.state("fetching", work.file)
        size_bytes = work.engine["size_bytes"]

        def progress(done: int, total: int) -> None:
            task.state("fetching", work.file, done / total if total else None)

        partial = target.with_name(f".{target.name}.partial")
        task.device.fetch(work.engine["path"], partial, digest, progress)
        store.add_file(partial)
        partial.unlink()
        fetched = size_bytes
    _place(store.path(digest), target)
    work.files["engine"] = target
    return fetched


def _place(source: Path, target: Path) -> None:
    """The stored file under another name: a hard link where the file system has them, a copy elsewhere."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _companions(task: TaskContext, work: Work, folder: Path) -> int:
    """Passport always (it is small, and its verdict is new); log and timing cache of what was built in this run."""
    assert work.step is not None
    key = work.step.rung.key
    stem = work.file.removesuffix(".engine")
    passport = task.device.call("engines", {"keys": [key]}).data["engines"][key]["passport"]
    target = folder / f"{stem}.passport.json"
    target.write_text(json.dumps(passport, indent=1) + "\n", encoding="utf-8")
    work.files["passport"] = target
    fetched = 0
    if work.action == BUILT:
        remote = posixpath.dirname(work.engine["path"])
        cache = work.timing_cache and posixpath.normpath(f"{remote}/../../timing/{work.timing_cache}.cache")
        for name, path, label in (
            ("log", f"{remote}/build.log", f"{stem}.build.log"),
            ("timing_cache", cache, f"{stem}.timing.cache"),
        ):
            if path:
                content = fetch_bytes(task.device, path)
                (folder / label).write_bytes(content)
                work.files[name] = folder / label
                fetched += len(content)
    return fetched


@module("engine_activate", keep=Argument("int", "releases to keep on the device, for a rollback", 3))
def engine_activate(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Switch each model to its proved engines, by an atomic symlink, and tell the application.

    Only a model all of whose engines passed their verdicts is switched; the device checks verdicts and digests again.
    A model that stands already is left alone. Fails where a model could not be brought to stand, after all others were
    switched.

    Returns releases: the active release of each model.
    """
    works: list[Work] = task.scratch["engines"]
    if task.check:
        return Outcome(skipped="nothing is activated in check mode")
    current = task.scratch["releases"]
    releases: dict[str, str] = {}
    switched = []
    problem: DeviceError | None = None
    for model in dict.fromkeys(work.spec.name for work in works):
        mine = [work for work in works if work.spec.name == model]
        if not all(work.stands for work in mine):
            continue
        wanted = [{"key": w.step.rung.key, "file": w.file} for w in mine if w.step]
        state = current.get(model) or {}
        # An engine that was built again has the same key and other bytes.
        standing = not any(work.action == BUILT for work in mine)
        if state.get("current") and standing and _same(state["engines"], wanted):
            releases[model] = state["current"]
            continue
        task.state("activating", model)
        call = {"model": model, "engines": wanted, "release": task.run.id, "keep": args["keep"]}
        reply = task.device.call("release_activate", call)
        releases[model] = reply.data["release"]
        if not reply.changed:
            continue
        switched.append(model)
        try:
            _tell(task, mine[0])
        except ActionError as failed_after:
            problem = problem or failed_after
    report(task, works)
    failed = [work for work in works if not work.stands]
    if failed:
        error = failed[0].error or DeviceError(f"{failed[0].title}: {failed[0].reason}")
        others = [work.title for work in failed[1:]]
        if others:
            task.warn(f"also not deployed: {', '.join(others)}")
        raise error
    if problem:
        raise problem
    message = f"{', '.join(switched)} switched" if switched else "the active release stands"
    return Outcome(bool(switched), {"releases": releases}, message=message)


def _same(active: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    """Whether the active release has just these engines, and their files."""

    def pairs(engines: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(engine["key"], engine["file"]) for engine in engines}

    return pairs(active) == pairs(wanted) and all(engine["present"] for engine in active)


def _tell(task: TaskContext, work: Work) -> None:
    """Run the specification's `after`: the new engine is active; the application does not know it yet."""
    after = work.spec.after
    if after is None:
        return
    try:
        if after.service:
            task.device.call("service", {"name": after.service, "state": "restarted"}, become=True)
        if after.command:
            is_line = isinstance(after.command, str)
            how = {"cmd": after.command} if is_line else {"argv": list(after.command)}
            data = task.device.call("shell" if is_line else "command", {**how, "timeout_s": 300}, timeout_s=310).data
            if data["rc"]:
                lines = (data["stderr"] or data["stdout"] or data["msg"]).strip().splitlines()
                raise ActionError(f"ended with exit code {data['rc']}", lines[-1] if lines else "")
    except ActionError as error:
        raise ActionError(
            f"{work.spec.name} is active, but its `after` step failed: {error.what}",
            error.why,
            "mend the service or command, then restart it by hand; the engine itself is proved",
        ) from None
