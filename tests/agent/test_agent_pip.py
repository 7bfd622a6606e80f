"""Python packages: the real pip of each device Python, from wheels that lie beside it; and what its failures mean."""

import random
import zipfile

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from device_agent.packages import versions

pytestmark = pytest.mark.agent


def wheel(folder, name, version):
    """A wheel of one module, made by hand."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        names = [f"{name}.py", *(f"{info}/{file}" for file in ("METADATA", "WHEEL", "RECORD"))]
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in names))


@pytest.fixture
def wheels(tmp_path):
    for version in ("1.19.4", "1.19.5"):
        wheel(tmp_path / "wheels", "fleetnum", version)
    return tmp_path / "wheels"


def test_packages_come_change_and_go(start, wheels, tmp_path):
    agent = start()
    here = {"extra_args": f"--user --no-index --find-links {wheels}"}
    predicted = agent.ask("pip", check=True, name=["fleetnum==1.19.4"], **here)
    done = agent.ask("pip", name=["fleetnum==1.19.4"], **here)
    assert predicted["changed"] and done["ok"] and done["changed"], done
    assert done["diff"] == {"before": "", "after": "fleetnum==1.19.4\n"}
    assert "install --user" in done["data"]["cmd"] and "Successfully installed" in done["data"]["stdout"]
    for asked in (
        {"name": ["fleetnum"]},
        {"name": ["Fleetnum>=1.19,<1.19.5"]},
        {"name": ["fleetnum"], "version": "1.19.4"},
    ):
        again = agent.ask("pip", **asked, **here)
        assert again["ok"] and not again["changed"] and again["data"]["cmd"] == "", asked
    upgraded = agent.ask("pip", name=["fleetnum"], state="latest", **here)
    assert upgraded["diff"] == {"before": "fleetnum==1.19.4\n", "after": "fleetnum==1.19.5\n"}
    assert not agent.ask("pip", name=["fleetnum"], state="latest", **here)["changed"]
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# what the board needs\nfleetnum == 1.19.5  # not 1.19.4\n")
    assert not agent.ask("pip", requirements=str(requirements), **here)["changed"]
    requirements.write_text("fleetnum==1.19.4\n")
    assert agent.ask("pip", check=True, requirements=str(requirements), **here)["changed"]
    assert agent.ask("pip", requirements=str(requirements), **here)["changed"]
    gone = agent.ask("pip", check=True, name=["fleetnum"], state="absent")
    assert gone["ok"] and gone["changed"], gone
    gone = agent.ask("pip", name=["fleetnum"], state="absent")
    assert gone["ok"] and gone["changed"], gone
    assert not agent.ask("pip", name=["fleetnum"], state="absent")["changed"]
    error = agent.refuse("pip", name=["fleetnum==7"], **here)
    assert "there is no fleetnum==7" in error["what"] and error["data"]["rc"] == 1


def fake_pip(tmp_path, text, rc=1):
    path = tmp_path / "pip3"
    path.write_text(f'#!/bin/sh\n[ "$1" = list ] && exit 0\ncat >&2 <<"EOF"\n{text}\nEOF\nexit {rc}\n')
    path.chmod(0o755)
    return str(path)


FAILURES = [
    (
        "error: externally-managed-environment\n\n× This environment is externally managed",
        "distribution",
        "break_system",
    ),
    (
        "*** WARNING: nvcc not in path.\n*** May need to set CUDA_INC_DIR for installation to succeed.",
        "CUDA",
        "cuda_paths",
    ),
    (
        "    src/cpp/cuda.hpp:14:10: fatal error: cuda.h: No such file or directory\n     #include <cuda.h>\n"
        "    compilation terminated.\n    error: command 'aarch64-linux-gnu-gcc' failed with exit status 1",
        "CUDA",
        "CPATH",
    ),
    ("RuntimeError: Python version >= 3.8 required.", "newer Python", "pip<22"),
    ("Illegal instruction (core dumped)", "illegal instruction", "numpy==1.19.4"),
    ("OSError: [Errno 28] No space left on device", "disk is full", "free some space"),
    ("/usr/bin/python3: No module named pip", "no pip", "python3-pip"),
    ("error: command '/usr/bin/aarch64-linux-gnu-gcc' failed with exit code 1", "could not be compiled", "headers"),
    ("something that nobody has seen yet", "pip failed", ""),
]


def test_failures_are_explained_in_three_lines(start, tmp_path):
    agent = start()
    for text, what, remedy in FAILURES:
        error = agent.refuse("pip", name=["x"], executable=fake_pip(tmp_path, text))
        assert what in error["what"] and remedy in error["remedy"], (text, error)
        assert text.splitlines()[0] in error["data"]["stderr"]
    assert "nobody has seen" in error["why"]
    killed = agent.refuse("pip", name=["x"], executable=fake_pip(tmp_path, "", 132))
    assert "illegal instruction" in killed["what"]


def test_what_the_network_alone_can_tell_is_said_in_check_mode(start, tmp_path):
    agent = start()
    tool = fake_pip(tmp_path, "unused")
    for name in ("git+https://example.org/x.git", "./folder", "x; python_version < '3'"):
        reply = agent.ask("pip", check=True, name=[name], executable=tool)
        assert reply["changed"] and "cannot tell beforehand" in reply["data"]["warnings"][0]


@pytest.mark.parametrize(
    "args, argument",
    [
        ({}, "name"),
        ({"name": ["a"], "requirements": "/r"}, "name"),
        ({"name": ["a", "b"], "version": "1"}, "version"),
        ({"name": ["a"], "version": "1", "state": "latest"}, "version"),
        ({"name": ["a"], "virtualenv": "/v", "executable": "pip3"}, "executable"),
        ({"name": ["a"], "executable": "/no/such/pip"}, "executable"),
        ({"name": ["a"], "chdir": "/no/such/folder"}, "chdir"),
    ],
)
def test_what_contradicts_itself_is_refused(start, args, argument):
    error = start().refuse("pip", **args)
    assert error["kind"] == "refused" and error["data"]["argument"] == argument


def test_versions_compare_as_the_packaging_library_compares_them():
    chance = random.Random(7)
    parts = ["", "a1", "b2", "rc1", ".post1", ".dev3", "a1.dev2", ".post1.dev3", "+cu102"]
    some = [
        f"{chance.choice(['1', '1.0', '1.19', '1.19.4', '2', '1!0.5', '10.3.0'])}{p}" for p in parts for _ in range(6)
    ]
    for left in some:
        for right in some:
            ours = versions.parse_version(left), versions.parse_version(right)
            theirs = Version(left), Version(right)
            assert (ours[0] < ours[1], ours[0] == ours[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1]), (
                left,
                right,
            )
    plain = ("==1.0", ">=1.19", "<=2", ">1.0", "<2", "!=1.0", "<1.19")
    specifiers = (*plain, "==1.*", "!=1.19.*", "~=1.19.0", "~=1.0", ">=1,<2", "==2+cu102")
    for version in some:
        for text in specifiers:
            asked = versions.parse_requirement("x" + text)
            wanted = SpecifierSet(text, prereleases=True).contains(version)
            assert versions.satisfies(version, asked.specifiers) == wanted, (version, text)


@pytest.mark.parametrize(
    "text", ["x @ file:///y", "git+https://x/y", "./x.whl", "x; python_version<'3'", "-e .", "x==a b"]
)
def test_what_only_pip_can_judge_is_left_to_pip(text):
    assert versions.parse_requirement(text) is None
