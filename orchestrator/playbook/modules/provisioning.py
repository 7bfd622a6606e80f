"""Jetson modules whose work takes minutes: a job on the device, which goes on when the link is lost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from orchestrator.errors import ActionError, ConfigurationError, FleetError
from orchestrator.platforms import provisioning as tables
from orchestrator.platforms.failures import explain
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module
from orchestrator.store.digests import digest_file

LOOK_TIMEOUT_S = 600.0

_JOBS = Argument("int", "compilers at once; by default as many as the free memory bears")
_SOURCE: dict[str, Any] = {
    "source": Argument(
        "str", "git: fetched by the device; archive: a file here, without internet", "git", choices=("git", "archive")
    ),
    "url": Argument("str", "of the git repository; the project's own by default"),
    "branch": Argument("str", "branch or tag; the table's by default"),
    "archive": Argument("str", "tar or zip file on the controller, with `source: archive`"),
    "sha256": Argument("str", "what the archive must hash to"),
}


def perform(task: TaskContext, action: str, args: dict[str, Any], title: str) -> Outcome:
    """Look first; where there is something to do, do it in a job on the device and wait for that.

    Args:
        action: of the agent; it runs as root where the task says `become`.
        title: what is done, for people.

    Raises:
        ActionError: what the action failed over, in the words of the table of known failures where it has them.
    """
    args = {name: value for name, value in args.items() if value is not None}
    try:
        look = task.device.call(action, args, check=True, become=task.become, timeout_s=LOOK_TIMEOUT_S)
    except ActionError as error:
        raise _told(error, [error.what, error.why]) from None
    for warning in look.data.get("warnings") or ():
        task.warn(f"{title}: {warning}")
    if not look.changed or task.check:
        return Outcome(look.changed, look.data, look.diff)
    digest = hashlib.sha256(json.dumps([action, args], sort_keys=True).encode()).hexdigest()
    job = f"{action}-{digest[:12]}"
    spec = {"kind": "action", "id": job, "spec": {"action": action, "args": args}}
    task.state("preparing", title)
    started = task.device.call("job_start", spec, become=task.become)
    if started.data["state"] == "done":
        # It did this once before, and the look says that it has to be done again.
        task.device.call("job_remove", {"id": job}, become=task.become)
        task.device.call("job_start", spec, become=task.become)

    def follow(event: dict[str, Any]) -> None:
        if line := event.get("line"):
            task.state("preparing", f"{title}: {line}"[:120])

    end = task.device.follow_job(job, follow)
    task.forget_facts()
    if end["state"] != "done":
        problem = end.get("error") or {}
        data = problem.get("data") or {}
        printed = f"{data.get('stdout', '')}\n{data.get('stderr', '')}".splitlines()
        failure = ActionError(
            str(problem.get("what") or f"{title} ended as {end['state']}"),
            str(problem.get("why") or ""),
            str(problem.get("remedy") or ""),
        )
        raise _told(failure, [*printed, failure.what, failure.why]).on(task.name)
    result = end["result"]
    task.device.call("job_remove", {"id": job}, become=task.become)
    return Outcome(bool(result["changed"]), result["data"], result["diff"])


def _told(error: FleetError, lines: list[str]) -> FleetError:
    """The error in the words of the table of known failures, where its output has one of them."""
    known = explain(lines)
    if known is None:
        return error
    return ActionError(f"{error.what}: {known.what}", known.why, known.remedy, device=error.device)


def source_of(task: TaskContext, args: dict[str, Any], name: str, branch: str | None = None) -> dict[str, Any]:
    """The action's `source`: a repository and branch, or the digest of an archive that is pushed now.

    Raises:
        ConfigurationError: no such archive here, or another digest than the playbook says.
    """
    row = tables.source_of(name, task.facts.get("tensorrt"))
    wanted = {"branch": args["branch"] or branch or row.get("branch"), "url": args["url"] or row["url"]}
    if args["source"] == "git":
        return wanted
    path = Path(str(args["archive"] or "")).expanduser()
    if not args["archive"] or not path.is_file():
        what = f"there is no archive {path}" if args["archive"] else f"{task.task.module.name} has no archive"
        raise ConfigurationError(what, "source: archive needs a file on the controller", "fetch it once and name it")
    digest = digest_file(path)
    if args["sha256"] and digest != args["sha256"]:
        why = f"its sha256 is {digest}, the playbook says {args['sha256']}"
        raise ConfigurationError(f"{path} is not the archive that was meant", why, "fetch it anew, or mend sha256")
    if not task.check:
        task.device.push_blob(path, digest)
    return {"branch": wanted["branch"], "archive": digest}


@module(
    "jetpack_components",
    components=Argument(
        "list", "which of them to install", list(tables.COMPONENTS), choices=tables.COMPONENTS, aliases=("name",)
    ),
    packages=Argument("list", "further packages of the release's repositories", [], elements="str"),
    l4t=Argument(
        "str", "hold: upgrades leave L4T's packages alone; unhold: let go", "keep", choices=("keep", "hold", "unhold")
    ),
    lock_timeout=Argument("int", "seconds to wait for another package tool", 600),
)
def jetpack_components(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Install the SDK components of the device's JetPack: CUDA, cuDNN, TensorRT, its Python bindings, trtexec.

    Packages are installed at the versions of the release, whatever newer ones another repository offers. What is
    installed is left as it is: nothing is ever upgraded. Needs `become: true`.

    Returns installed, present, other (installed at another version than the release's), held.
    """
    facts = task.facts
    known = tables.components_for(facts)
    if args["components"] and not known:
        raise ActionError(
            "the components of this release are not known",
            f"L4T {facts.get('l4t') or 'is missing'}; NVIDIA's repository for Jetsons begins with JetPack 4.3",
            "flash JetPack 4.3 or later, or name packages instead of components",
            device=task.name,
        )
    wanted = [package for name in args["components"] for package in known[name]]
    wanted += [{"name": name} for name in args["packages"]]
    call = {
        "packages": [{key: value for key, value in package.items() if value} for package in wanted],
        "l4t": args["l4t"],
        "lock_timeout": args["lock_timeout"],
    }
    outcome = perform(task, "jetpack_components", call, "SDK components")
    for name, version in sorted(outcome.data.get("other", {}).items()):
        task.warn(f"{name} is {version}, not the version of {facts.get('jetpack') or facts.get('l4t')}; left as it is")
    new = outcome.data.get("installed", {})
    held = f"{len(outcome.data.get('held', []))} held"
    outcome.message = f"{len(new)} packages" if new else "all there" if args["components"] else held
    return outcome


@module(
    "python_packages",
    packages=Argument("dict", "name: version, besides or instead of the release's pins; null leaves one out", {}),
    only=Argument("list", "take only these of the release's pins", elements="str"),
    find_links=Argument("path", "folder of wheels on the device, for sites without internet"),
    index_url=Argument("str", "package index instead of pip's own"),
)
def python_packages(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Install Python packages at the versions that fit the device's JetPack, Python and CPU.

    numpy, onnx, onnxruntime, protobuf, polygraphy and (from JetPack 6 on) onnxsim, with a pip that knows this Python.
    With `become: true` for everybody, else for the login user.

    Returns installed (name: version) and previous.
    """
    pins = tables.pins_for(task.facts)
    packages = {name: pin for name, pin in pins["packages"].items() if not args["only"] or name in args["only"]}
    packages.update({str(name): pin for name, pin in args["packages"].items()})
    call = {
        "packages": {name: str(pin) for name, pin in packages.items() if pin is not None},
        "pip": pins["pip"],
        "find_links": args["find_links"],
        "index_url": args["index_url"],
        "cortex_a57": tables.has_cortex_a57(task.facts),
    }
    outcome = perform(task, "python_packages", call, "Python packages")
    changed = sorted(outcome.data.get("previous", {}))
    outcome.message = ", ".join(changed) if changed else "all pinned"
    return outcome


@module(
    "pycuda",
    version=Argument("str", "another version than the table's for this JetPack"),
    cuda=Argument("path", "CUDA's folder; /usr/local/cuda by default"),
    find_links=Argument("path", "folder of wheels and sources on the device, for sites without internet"),
    device=Argument("bool", "prove it by asking the driver for the GPU, not only by an import", True),
    jobs=_JOBS,
)
def pycuda(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Compile and install pycuda against the device's CUDA, and prove it by asking the driver for the GPU.

    Where the driver cannot be reached, pip's cache is purged and pycuda built anew, once. With `become: true` for
    everybody, else for the login user.

    Returns version, gpu (its name), rebuilt.
    """
    packages = dict(tables.pins_for(task.facts)["pycuda"])
    if args["version"]:
        packages["pycuda"] = args["version"]
    if not packages:
        why = "neither its L4T nor its Python is in the table"
        raise ActionError("no version of pycuda is known for this device", why, "give a version", device=task.name)
    call = {name: args[name] for name in ("cuda", "find_links", "device", "jobs")}
    call.update(packages=packages, cortex_a57=tables.has_cortex_a57(task.facts))
    outcome = perform(task, "pycuda", call, "pycuda")
    outcome.message = " on ".join(str(outcome.data[name]) for name in ("version", "gpu") if outcome.data.get(name))
    return outcome


@module("cmake", minimum=Argument("str", "oldest version that will do", "3.13"), jobs=_JOBS, **_SOURCE)
def cmake(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Build CMake from source into /usr/local, only where the system's is older than `minimum`.

    Returns version, previous.
    """
    call = {"minimum": args["minimum"], "source": source_of(task, args, "cmake"), "jobs": args["jobs"]}
    outcome = perform(task, "cmake", call, "CMake")
    outcome.message = str(outcome.data["version"])
    return outcome


@module("protobuf", minimum=Argument("str", "oldest version that will do", "3.12.3"), jobs=_JOBS, **_SOURCE)
def protobuf(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Build protobuf (compiler and libraries) from source into /usr/local, only where the system's is older.

    Returns version, previous.
    """
    call = {"minimum": args["minimum"], "source": source_of(task, args, "protobuf"), "jobs": args["jobs"]}
    outcome = perform(task, "protobuf", call, "protobuf")
    outcome.message = str(outcome.data["version"])
    return outcome


@module(
    "onnx_tensorrt",
    state=Argument("str", "absent takes it away again", "present", choices=("present", "absent")),
    jobs=_JOBS,
    **_SOURCE,
)
def onnx_tensorrt(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Build and install onnx-tensorrt at the branch of the device's TensorRT, and prove it by importing it.

    The two known mends (`-m64` in setup.py, TENSORRTAPI in NvOnnxParser.h) are applied where their texts are present.
    Built anew where TensorRT has changed since. Needs CMake, protobuf, CUDA and pycuda, and `become: true`.

    Returns branch, commit, patched, onnx2trt (its path where the branch has it).
    """
    facts = task.facts
    row = tables.onnx_tensorrt_for(facts.get("tensorrt"))
    if row is None and args["state"] == "present":
        if task.check:
            # The components that a run would have installed by now are not there in check mode.
            return Outcome(True, {"branch": None, "commit": None, "patched": []}, message="once TensorRT is installed")
        why = f"TensorRT is {facts.get('tensorrt') or 'not installed'}"
        remedy = "run jetpack_components first"
        raise ActionError("no branch of onnx-tensorrt fits this device", why, remedy, device=task.name)
    row = row or {
        "branch": "none",
        "patches": [],
        "onnx2trt": False,
        "gpu_archs": False,
        "cmake": None,
        "protobuf": None,
    }
    capability = str(facts.get("compute_capability") or "").replace(".", "")
    call = {
        "source": source_of(task, args, "onnx_tensorrt", row["branch"]),
        "tensorrt": facts.get("tensorrt") or "0",
        "patches": row["patches"],
        "onnx2trt": row["onnx2trt"],
        "gpu_archs": capability if row["gpu_archs"] and capability else None,
        "cmake": row["cmake"],
        "protobuf": row["protobuf"],
        "jobs": args["jobs"],
        "state": args["state"],
    }
    outcome = perform(task, "onnx_tensorrt", call, "onnx-tensorrt")
    patched = outcome.data.get("patched") or []
    branch = outcome.data.get("branch") or "none"
    outcome.message = f"{branch}, mended: {', '.join(patched)}" if patched else str(branch)
    return outcome


@module("tensorrt_oss", jobs=_JOBS, **_SOURCE)
def tensorrt_oss(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Build TensorRT's open-source plugins and parsers on the device, into /usr/local/tensorrt-oss.

    It takes hours on a Nano. The release's own libraries stay in force. Needs `become: true`.

    Returns branch, commit, path.
    """
    facts = task.facts
    if not facts.get("tensorrt") or not facts.get("cuda"):
        why = "TensorRT or CUDA is not installed"
        raise ActionError("TensorRT's open part cannot be built", why, "run jetpack_components first", device=task.name)
    call = {
        "source": source_of(task, args, "tensorrt_oss"),
        "tensorrt": facts["tensorrt"],
        "gpu_archs": str(facts.get("compute_capability") or "").replace(".", "") or None,
        "cuda": ".".join(str(facts["cuda"]).split(".")[:2]),
        "jobs": args["jobs"],
    }
    return perform(task, "tensorrt_oss", call, "TensorRT's open part")


@module("trtexec", jobs=_JOBS)
def trtexec(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """See that trtexec is there: found where JetPack ships it, built from TensorRT's samples where it does not.

    Building it (JetPack 4.2 and 4.3) needs CUDA and `become: true`. `cuda_paths` puts it on the path.

    Returns path, built.
    """
    packages = tables.components_for(task.facts).get("trtexec", [])
    shipped = bool(packages) and all("samples" not in str(package["name"]) for package in packages)
    outcome = perform(task, "trtexec", {**args, "shipped": shipped}, "trtexec")
    outcome.message = str(outcome.data.get("path"))
    return outcome
