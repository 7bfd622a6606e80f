"""What is built from source: only where it is needed, mended where its texts are there, in bounded steps, once."""

import hashlib
import io
import os
import tarfile

import pytest
from fake_device import FakeDevice

pytestmark = pytest.mark.agent

SETUP = """
import os, site, sys
if 'install' in sys.argv:
    if '-m64' in EXTRA or BINDINGS and not any('define TENSORRTAPI' in line for line in open('NvOnnxParser.h')):
        sys.exit('error: the texts were not mended')
    folder = site.getusersitepackages()
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, 'onnx_tensorrt.py'), 'w').close()
"""
OLD_SETUP = (
    """EXTRA = [
    '-std=c++11',
    '-m64',
]
BINDINGS = True  # ext_modules from nv_onnx_parser_bindings.i by swig
"""
    + SETUP
)
NEW_SETUP = "EXTRA = ['-std=c++11']\nBINDINGS = False\n" + SETUP
HEADER = """// a licence
#ifndef NV_ONNX_PARSER_H
#define NV_ONNX_PARSER_H

#include "NvInfer.h"
#include <vector>

extern "C" TENSORRTAPI void* createNvOnnxParser_INTERNAL(void* network, void* logger, int version);
#endif
"""

TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
{body}
"""


def archive_of(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo("onnx-tensorrt-1.0/" + name)
            info.size = len(text.encode())
            info.mode = 0o755 if name == "bootstrap" else 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


@pytest.fixture
def device(tmp_path):
    device = FakeDevice(tmp_path / "device")
    device.path("/usr/local/cuda/include").mkdir(parents=True)
    device.path("/usr/local/bin").mkdir(parents=True)
    device.write("/proc/meminfo", "MemAvailable: 2600000 kB\n")
    tool(device, "cmake", 'case "$1" in --version) echo "cmake version 3.16.3";; esac')
    tool(device, "protoc", 'echo "libprotoc 3.12.4"')
    tool(device, "make")
    tool(device, "ldconfig")
    return device


def tool(device, name, body=""):
    device.write(f"/usr/bin/{name}", TOOL.format(log=device.path("/log"), body=body))
    device.path(f"/usr/bin/{name}").chmod(0o755)


def log(device):
    path = device.path("/log")
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def agent(start_as_root, device, tmp_path):
    return start_as_root(prefix=device.folder, root=tmp_path / "root")


def push(agent, content):
    import base64

    digest = hashlib.sha256(content).hexdigest()
    agent.call("blob_write", digest=digest, content=base64.b64encode(content).decode())
    return {"archive": digest, "branch": "7.1"}


def arguments(source, **more):
    patches = ["minus_m64", "tensorrtapi"]
    return {"source": source, "tensorrt": "7.1.3", "patches": patches, "cmake": "3.13", "protobuf": "3.12.3", **more}


@pytest.mark.parametrize(
    ("setup", "patched"), [(OLD_SETUP, ["minus_m64", "tensorrtapi"]), (NEW_SETUP, [])], ids=["7.1", "8.2"]
)
def test_onnx_tensorrt_is_mended_only_where_its_texts_are(agent, device, setup, patched):
    source = push(agent, archive_of({"setup.py": setup, "NvOnnxParser.h": HEADER}))
    before = log(device)
    predicted = agent.ask("onnx_tensorrt", check=True, **arguments(source))
    assert predicted["changed"] and [line for line in log(device)[len(before) :] if "--version" not in line] == []
    reply = agent.ask("onnx_tensorrt", **arguments(source))
    assert reply["ok"], reply["error"]
    assert reply["data"]["patched"] == patched and reply["data"]["backend"]
    steps = [line for line in log(device) if "--version" not in line]
    assert [line.split()[0] for line in steps] == ["cmake", "make", "make", "ldconfig"]
    assert steps[0].endswith("..") and "-DONNX_NAMESPACE=onnx2trt_onnx" in steps[0]
    assert steps[1] == f"make -j{min(2, os.cpu_count())}"
    again = agent.ask("onnx_tensorrt", **arguments(source))
    assert again["ok"] and not again["changed"] and again["data"]["patched"] == patched
    newer = agent.ask("onnx_tensorrt", check=True, **dict(arguments(source), tensorrt="8.0.1"))
    assert newer["changed"], "another TensorRT wants another build"


def test_too_old_tools_are_named_before_anything_is_built(agent, device):
    tool(device, "protoc", 'echo "libprotoc 3.0.0"')
    source = push(agent, archive_of({"setup.py": NEW_SETUP, "NvOnnxParser.h": HEADER}))
    error = agent.refuse("onnx_tensorrt", **arguments(source))
    assert "3.0.0" in error["why"] and "3.12.3" in error["why"] and "protobuf" in error["remedy"]
    assert all("--version" in line for line in log(device))


def test_a_compiler_killed_for_want_of_memory_is_tried_alone(agent, device):
    killed = 'echo "c++: internal compiler error: Killed (program cc1plus)" >&2; exit 2'
    body = 'case "$*" in -j1|install) exit 0;; esac; ' + killed
    tool(device, "make", body)
    source = push(agent, archive_of({"setup.py": NEW_SETUP, "NvOnnxParser.h": HEADER}))
    assert agent.ask("onnx_tensorrt", **arguments(source, jobs=2))["ok"]
    assert [line for line in log(device) if line.startswith("make")] == ["make -j2", "make -j1", "make install"]
    tool(device, "make", body.replace("-j1|", ""))
    error = agent.refuse("onnx_tensorrt", **dict(arguments(source, jobs=2), tensorrt="8.0.1"))
    assert "memory" in error["why"] and "swapfile" in error["remedy"] and error["data"]["rc"] == 2


def test_an_archive_that_writes_elsewhere_is_refused(agent, device, tmp_path):
    source = push(agent, archive_of({"../../evil": "x"}))
    error = agent.refuse("onnx_tensorrt", **arguments(source))
    assert "outside" in error["what"] and not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(("found", "built"), [("3.10.2", True), ("3.13.0", False), (None, True)])
def test_cmake_is_built_only_where_it_is_too_old(agent, device, found, built):
    device.path("/usr/bin/cmake").unlink()
    if found:
        tool(device, "cmake", f'echo "cmake version {found}"')
    newer = device.path("/usr/bin/cmake")
    tool(
        device,
        "make",
        f"""case "$*" in install) printf '#!/bin/sh\\necho cmake version 3.16.9\\n' > {newer}.new
        chmod 755 {newer}.new; mv {newer}.new {newer};; esac""",
    )
    source = push(agent, archive_of({"bootstrap": "#!/bin/sh\nexit 0\n"}))
    reply = agent.ask("cmake", minimum="3.13", source=source)
    assert reply["ok"], reply["error"]
    assert reply["changed"] is built
    assert reply["data"] == {"version": "3.16.9" if built else found, "previous": found}
    assert not agent.ask("cmake", minimum="3.13", source=source)["changed"]


def test_trtexec_is_found_or_built_from_the_samples(agent, device):
    missing = agent.refuse("trtexec")
    assert "jetpack_components" in missing["remedy"]
    device.write("/usr/src/tensorrt/samples/trtexec/Makefile", "all:\n")
    target = device.path("/usr/src/tensorrt/bin/trtexec")
    tool(
        device,
        "make",
        f"""mkdir -p {target.parent}; printf '#!/bin/sh\\necho "=== trtexec ==="\\n' > {target}; chmod 755 {target}""",
    )
    assert agent.ask("trtexec", check=True)["changed"] and not target.exists()
    data = agent.call("trtexec")
    assert data == {"path": str(target), "built": True}
    assert not agent.ask("trtexec")["changed"]


def test_only_root_builds_into_the_system(start_as_user, device, tmp_path):
    agent = start_as_user(prefix=device.folder, root=tmp_path / "user")
    device.write("/usr/src/tensorrt/samples/trtexec/Makefile", "all:\n")
    for action, args in (("trtexec", {}), ("cmake", {"minimum": "9.9"})):
        assert "become: true" in agent.refuse(action, **args)["remedy"]
