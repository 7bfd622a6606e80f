"""Python packages that must fit the release: pinned sets, and pycuda, which is compiled against the device's CUDA."""

import re
import sys

from ..arguments import Flag, Integer, Mapping, Text, accepts
from ..errors import ActionError
from ..packages import texts
from ..provision import pip as pips
from ..provision.toolchain import build_environment, cuda_folder, parallel_jobs
from ..results import Result

IMPORTS = {
    "numpy": "numpy",
    "protobuf": "google.protobuf",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxruntime-gpu": "onnxruntime",
    "onnxsim": "onnxsim",
    "polygraphy": "polygraphy",
    "uff": "uff",
}
"""What to import to see that a package works; those that are not here are only installed."""

_PIN = r"[A-Za-z0-9<>=!~.,*+ -]{1,80}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_DRIVER = re.compile(r"cuInit|LogicError|no CUDA-capable device|libcuda\.so|NvRm|driver", re.IGNORECASE)


@accepts(
    packages=Mapping(),
    pip=Text(default=None, pattern=_PIN, allowed="a version of pip"),
    find_links=Text(default=None),
    index_url=Text(default=None),
    cortex_a57=Flag(default=False),
)
def python_packages(args, context):
    """Keep pinned versions of Python packages, installed together so that none pulls in another version of the next.

    As root for everybody, else for the login user. A pip that is too old for this Python is brought up to date first.

    args:
        packages ({name: version, or a comparison as "<2021"})
        pip (str): version of pip
        find_links (str): folder of wheels on the device, for sites without internet; then no index is asked
        cortex_a57 (bool): whether OpenBLAS mistakes the CPU
    data:
        installed ({name: version}): of the packages asked for, afterwards
        previous ({name: version or None}): of those that changed
    raises:
        ActionError: no pip, what pip failed over, or a package that cannot be imported
    """
    pins = _pins(args.packages)
    pip = pips.Pip(context, build_environment(cuda_folder(), args.cortex_a57))
    own = pip.version()
    before = pip.installed() if own else {}
    todo = pips.wanting(pins, before)
    upgrade = args.pip and (own is None or pips.wanting({"pip": args.pip}, {"pip": own}))
    if not todo and not upgrade:
        return Result(data={"installed": _of(pins, before), "previous": {}})
    wanted = dict(todo, pip=args.pip) if upgrade else todo
    known = dict(before, pip=own) if own else before
    diff = (_listing(known, wanted), "".join("{}\n".format(pips.requirement(n, p)) for n, p in sorted(wanted.items())))
    if context.check:
        return Result(True, {"installed": _of(pins, before), "previous": _of(wanted, known)}, diff)
    if own is None:
        raise ActionError(
            "there is no pip on this device", "the system's Python comes without it", "apt: {name: python3-pip}"
        )
    source = []
    if args.find_links:
        source = ["--no-index", "--find-links", args.find_links]
    elif args.index_url:
        source = ["--index-url", args.index_url]
    if upgrade:
        pip.install(["--upgrade"] + source + [pips.requirement("pip", args.pip)])
    if todo:
        # All pins, not only those that are missing: so that pip cannot move the others.
        pip.install(source + [pips.requirement(name, pin) for name, pin in sorted(pins.items())])
    after = pip.installed()
    missing = pips.wanting(pins, after)
    if missing:
        raise ActionError(
            "pip did not install {}".format(", ".join(sorted(missing))), "they are not at the versions asked for"
        )
    for name in sorted(todo):
        if name in IMPORTS:
            _import(pip, IMPORTS[name])
    return Result(True, {"installed": _of(pins, after), "previous": _of(wanted, known)}, diff)


def _pins(packages):
    for name, pin in packages.items():
        good = (
            isinstance(name, str)
            and re.match(_NAME + r"\Z", name)
            and isinstance(pin, str)
            and re.match(_PIN + r"\Z", pin)
        )
        if not good or pips.parse_requirement(pips.requirement(name, pin)) is None:
            raise ActionError(
                "python_packages: '{}' cannot be '{}'".format(name, pin),
                "allowed: a version such as 1.19.4, or a comparison such as <2021",
                kind="refused",
                argument="packages",
            )
    return dict(packages)


def _of(names, installed):
    return {name: installed.get(pips.normalised(name)) for name in sorted(names)}


def _listing(installed, names):
    rows = ((name, installed.get(pips.normalised(name))) for name in sorted(names))
    return "".join("{}=={}\n".format(name, version) for name, version in rows if version)


def _import(pip, module):
    output = pip.check("import {}".format(module))
    if output.rc == 0:
        return
    text = output.stdout + ("\nIllegal instruction" if output.rc in (-4, 132) else "")
    found = texts.explain(texts.PIP, text)
    what = "{} cannot be imported after it was installed".format(module)
    why = found[1] if found else texts.last_error(text) or "Python ended with {}".format(output.rc)
    raise ActionError(what, why, found[2] if found else "", rc=output.rc, stdout=output.stdout, stderr="")


@accepts(
    packages=Mapping(),
    cuda=Text(default=None, pattern=r"/[^\0]+", allowed="an absolute path"),
    find_links=Text(default=None),
    cortex_a57=Flag(default=False),
    jobs=Integer(default=None, minimum=1, maximum=64),
    device=Flag(default=True),
)
def pycuda(args, context):
    """Compile and install pycuda against the device's CUDA, and prove it by asking the driver for the GPU.

    CUDA's compiler, headers and libraries are given to the build, which finds none of them in a session without a
    login shell. Where the driver cannot be reached afterwards, pip's cache (which may hold a build for another CUDA) is
    purged and pycuda built anew, once.

    args:
        packages ({name: version}): pycuda itself and what its version needs
        cuda (str): CUDA's folder, default /usr/local/cuda
        device (bool): whether to ask for the GPU, not only to import
    data:
        version (str), gpu (str or None): the name that the driver gives; rebuilt (bool)
    raises:
        ActionError: no compiler, what the build failed over, or why the driver cannot be reached
    """
    pins = _pins(args.packages)
    if "pycuda" not in pins:
        raise ActionError(
            "pycuda: 'packages' has no pycuda", "", "give it a version", kind="refused", argument="packages"
        )
    cuda = cuda_folder(args.cuda)
    pip = pips.Pip(
        context, dict(build_environment(cuda, args.cortex_a57), MAKEFLAGS="-j{}".format(parallel_jobs(args.jobs)))
    )
    before = pip.installed()
    todo = pips.wanting(pins, before)
    problem = None
    if not todo:
        gpu, problem = _probe(pip, args.device)
        if problem is None:
            return Result(data={"version": before.get("pycuda"), "gpu": gpu, "rebuilt": False})
    wanted = todo or {"pycuda": pins["pycuda"]}
    after = "".join("{}\n".format(pips.requirement(name, pin)) for name, pin in sorted(wanted.items()))
    diff = (_listing(before, wanted) + ("# does not work: {}\n".format(problem[-1]) if problem else ""), after)
    if context.check:
        return Result(True, {"version": before.get("pycuda"), "gpu": None, "rebuilt": not todo}, diff)
    if cuda is None:
        why = "/usr/local/cuda is not there: this device has no CUDA toolkit"
        raise ActionError("pycuda cannot be built", why, "jetpack_components: {components: [cuda]}")
    source = ["--no-index", "--find-links", args.find_links] if args.find_links else []
    # Python 3.6 would fetch an ancient numpy for the build and compile it; what is installed does.
    source += ["--no-build-isolation"] if sys.version_info < (3, 8) else []
    words = [pips.requirement(name, pin) for name, pin in sorted(pins.items())]
    if todo:
        pip.install(source + words)
        gpu, problem = _probe(pip, args.device)
    rebuilt = False
    if problem is not None and _DRIVER.search("\n".join(problem)):
        context.progress({"line": "the driver cannot be reached; building pycuda anew without pip's cache"})
        pip.run(
            ["cache", "purge"], allow_failure=True
        )  # pip before 20.1 has no such command, and no cache of wheels then
        pip.install(
            source + ["--no-cache-dir", "--force-reinstall", "--no-deps", pips.requirement("pycuda", pins["pycuda"])]
        )
        gpu, problem = _probe(pip, args.device)
        rebuilt = True
    if problem is not None:
        raise ActionError(
            "pycuda is installed and does not work",
            problem[-1],
            "see that the user may use the GPU (gpu_access) and that CUDA is the release's own",
            stdout="\n".join(problem),
            stderr="",
        )
    return Result(True, {"version": pip.installed().get("pycuda"), "gpu": gpu, "rebuilt": rebuilt}, diff)


def _probe(pip, device):
    """(the GPU's name or None, the lines of what went wrong or None)."""
    code = "import pycuda.driver as driver"
    if device:
        code += "; driver.init(); print('GPU ' + driver.Device(0).name())"
    output = pip.check(code)
    if output.rc == 0:
        match = re.search(r"^GPU (.*)$", output.stdout, re.MULTILINE)
        return (match.group(1).strip() if match else None), None
    lines = [line.strip() for line in output.stdout.splitlines() if line.strip()]
    return None, lines or ["Python ended with {}".format(output.rc)]
