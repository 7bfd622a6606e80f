"""The table of what is installed where: whole for every release, and what boards are known to need."""

from __future__ import annotations

import re
from typing import Any

import pytest

from device_agent.provision.patches import PATCHES
from orchestrator.platforms import provisioning
from orchestrator.platforms.tables import table, version

TABLE = table("provisioning.yml")
STACKS = [row for row in table("jetpacks.yml")["stacks"] if version(row["l4t"]) >= (32, 3, 1)]


def facts_of(stack: dict[str, Any], soc: str = "t194") -> dict[str, Any]:
    return {"l4t": stack["l4t"], "soc": soc, "python": stack["python"], "tensorrt": stack["tensorrt"]}


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: str(stack["l4t"]))
def test_every_release_has_components_pins_and_a_parser(stack: dict[str, Any]) -> None:
    components = provisioning.components_for(facts_of(stack))
    assert set(components) == set(provisioning.COMPONENTS)
    major = stack["tensorrt"].split(".")[0]
    names = [package["name"] for package in components["tensorrt"]]
    assert f"libnvinfer{major}" in names and f"libnvonnxparsers{major}" in names
    cuda = "-".join(str(stack["cuda"]).split(".")[:2])
    assert [package["name"] for package in components["cuda"]] == [f"cuda-toolkit-{cuda}"]
    assert all(package["version"] == stack["cudnn"] for package in components["cudnn"])
    pins = provisioning.pins_for(facts_of(stack))
    assert {"numpy", "onnx", "onnxruntime", "protobuf", "polygraphy"} <= set(pins["packages"])
    assert "pycuda" in pins["pycuda"]
    branch = provisioning.onnx_tensorrt_for(stack["tensorrt"])
    assert branch is not None
    assert re.match(r"v?(\d+\.\d+)", branch["branch"])[1] == ".".join(stack["tensorrt"].split(".")[:2])


def test_what_boards_are_known_to_need() -> None:
    nano = {"l4t": "32.7.1", "soc": "t210", "python": "3.6.9"}
    assert provisioning.pins_for(nano)["packages"]["numpy"] == "1.19.4"
    assert provisioning.pins_for({**nano, "soc": "t194"})["packages"]["numpy"] == "1.19.5"
    assert provisioning.has_cortex_a57(nano) and not provisioning.has_cortex_a57({"soc": "t234"})
    assert version(provisioning.pins_for({"l4t": "35.4.1", "soc": "t194"})["packages"]["numpy"]) < (1, 24)
    assert provisioning.components_for({"l4t": "32.1"}) == {}, "older than NVIDIA's package repository"
    assert provisioning.components_for({"l4t": None}) == {}
    old = provisioning.components_for({"l4t": "32.3.1"})
    assert [package["name"] for package in old["trtexec"]] == ["libnvinfer-samples"], "there it is built"


@pytest.mark.parametrize(
    ("tensorrt", "ubuntu", "found", "built"),
    [
        ("8.2.1", "18.04", {"cmake": "3.10.2", "protobuf": "3.0.0"}, {"cmake", "protobuf"}),
        ("8.2.1", "18.04", {"cmake": "3.16.9", "protobuf": "3.12.4"}, set()),
        ("6.0.1", "18.04", {"cmake": None, "protobuf": None}, {"protobuf"}),
        ("8.5.2", "20.04", {"cmake": None, "protobuf": None}, {"protobuf"}),
        ("10.3.0", "22.04", {"cmake": None, "protobuf": None}, set()),
        (None, "22.04", {}, set()),
    ],
)
def test_tools_are_built_only_where_nobody_brings_them(
    tensorrt: str | None, ubuntu: str, found: dict[str, str | None], built: set[str]
) -> None:
    assert set(provisioning.to_be_built(tensorrt, ubuntu, found)) == built


def test_every_pin_and_patch_can_be_read() -> None:
    for row in [*TABLE["pins"], *TABLE["pins_x86"]]:
        for pin in [*row["packages"].values(), *row["pycuda"].values()]:
            assert re.fullmatch(r"[<>=]*\d+(\.\d+)*", pin), pin
    assert {name for row in TABLE["onnx_tensorrt"] for name in row["patches"]} == set(PATCHES)
    for name in ("components", "pins", "onnx_tensorrt"):
        key = "tensorrt" if name == "onnx_tensorrt" else "l4t"
        order = [version(row[key]) for row in TABLE[name]]
        assert order == sorted(order), name


def test_the_open_part_of_tensorrt_is_of_its_release() -> None:
    assert provisioning.source_of("tensorrt_oss", "8.2.1")["branch"] == "release/8.2"
    assert provisioning.source_of("cmake")["branch"] == "v3.16.9"
