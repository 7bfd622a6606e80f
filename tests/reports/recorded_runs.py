"""Event lists of whole runs, as the runner emits them, for the tests of reports."""

from __future__ import annotations

from orchestrator import events
from orchestrator.reports.result import ResultCollector

START = 1_790_000_000.0

BOARDS = {
    "nano-01": ("Jetson Nano", "t210", "5.3", "32.7.1", "4.6.1", "8.2.1.8", 13, ["fp32", "fp16"], "MAXN"),
    "agx-xavier-01": (
        "Jetson AGX Xavier",
        "t194",
        "7.2",
        "32.6.1",
        "4.6",
        "8.0.1.6",
        13,
        ["fp32", "fp16", "int8"],
        "MAXN",
    ),
    "xavier-nx-01": (
        "Jetson Xavier NX",
        "t194",
        "7.2",
        "35.4.1",
        "5.1.2",
        "8.5.2.2",
        16,
        ["fp32", "fp16", "int8"],
        "20W_6CORE",
    ),
    "orin-nano-01": (
        "Jetson Orin Nano",
        "t234",
        "8.7",
        "36.4.3",
        "6.2",
        "10.3.0.30",
        17,
        ["fp32", "fp16", "int8"],
        "MAXN_SUPER",
    ),
    "agx-orin-01": (
        "Jetson AGX Orin",
        "t234",
        "8.7",
        "36.3.0",
        "6.0",
        "8.6.2.3",
        17,
        ["fp32", "fp16", "int8"],
        "MAXN",
    ),
}


def facts(board: str, *, virtual: bool = True) -> dict:
    module, soc, capability, l4t, jetpack, tensorrt, _, precisions, mode = BOARDS[board]
    return {
        "virtual": virtual,
        "module": module,
        "soc": soc,
        "compute_capability": capability,
        "l4t": l4t,
        "jetpack": jetpack,
        "python": "3.8.10",
        "cuda": "11.4.315",
        "cudnn": "8.6.0.166",
        "tensorrt": tensorrt,
        "trtexec": "/usr/src/tensorrt/bin/trtexec",
        "ram_bytes": 8 << 30,
        "swap_bytes": 4 << 30,
        "disk_free_bytes": 21 << 30,
        "power_mode": mode,
        "clocks": {"locked": True, "gpu_hz": {"min": 918000000, "max": 918000000, "current": 918000000}},
        "dla_cores": 2,
        "precisions": precisions,
    }


def metrics(**changed: object) -> dict:
    numbers = {
        "l0": 0.0,
        "l1": 3.1e-4,
        "l2": 4.2e-4,
        "lInf": 0.0081,
        "cos": 0.9999998,
        "nan": 0,
        "inf": 0,
        "top1": 1.0,
        "accuracy": 0.978,
    }
    return {**numbers, **changed}


def step(name: str, nodes: int, reason: str | None = None, **errors: dict) -> dict:
    """One step of an export, as orchestrator.models.sanitize records it."""
    return {"step": name, "kept": reason is None, "reason": reason, "nodes": nodes, "opset": 13, "errors": errors}


def engine(board: str = "orin-nano-01", **changed: object) -> dict:
    opset = BOARDS[board][6]
    base = 0.9 + 0.7 * list(BOARDS).index(board)
    return {
        "model": "digits",
        "batch": 8,
        "precision": "fp16",
        "opset": opset,
        "key": "4f1c0a9be7d2" * 5,
        "action": "built",
        "reason": "no engine with this key on the device",
        "build_s": 4.2,
        "size_bytes": 412_000,
        "verdict": {
            "passed": True,
            "reasons": [],
            "metrics": {"logits": metrics()},
            "samples": 360,
            "tolerance": {"atol": 0.01, "rtol": 0.01, "outside": 0.001, "cosine": 0.999, "top1": None},
            "digest": "ab" * 32,
        },
        "latency_ms": {"p50": base, "p90": base * 1.2, "p95": base * 1.35, "p99": base * 1.9},
        "throughput_per_s": 1000 / base,
        "artifact": f"artifacts/{board}/digits/digits-b8-fp16.engine",
        "passport": f"artifacts/{board}/digits/passport.json",
        "release": "20260921-031500-4f1c",
        "power": {"mode": BOARDS[board][8], "clocks": "locked"},
        "warnings": [],
        "attempts": [
            {"workspace_mib": 1024, "rc": None, "signal": 9, "duration_s": 2.1, "reason": "killed: out of memory"},
            {"workspace_mib": 512, "rc": 0, "signal": None, "duration_s": 2.1, "reason": ""},
        ],
        "rungs": [{"precision": "fp16", "action": "built", "reason": ""}],
        "export": {
            "opset": opset,
            "steps": [
                step("export", 42, logits=metrics(top1=None)),
                step("fold constants", 30, logits=metrics(l2=0.0)),
                step("simplify", 30, "logits: cosine 0.91, at least 0.99999 needed", logits=metrics(cos=0.91)),
                step("check", 30),
            ],
        },
        **changed,
    }


UNREACHABLE = {
    "what": "cannot connect to 192.168.55.1:22",
    "why": "connection refused",
    "remedy": "check that sshd runs on the device, then: fleet ping --limit xavier-nx-01",
    "log": None,
}
OUT_OF_MEMORY = {
    "what": "engine not built: trtexec was killed by the kernel (out of memory) at workspace 1024 MiB",
    "why": "free memory was 611 MiB; the desktop session holds 702 MiB",
    "remedy": "fleet provision --tags headless --limit nano-01, or set build.workspace: 256",
    "log": "runs/20260921-031500/artifacts/nano-01/digits/build.log",
}


def begin(hosts: list[str], virtual: bool = True) -> list[events.Event]:
    return [
        events.RunStarted(
            time=START,
            run="20260921-031500",
            command="fleet deploy --inventory inventory/lab.yml",
            hosts=hosts,
            directory="runs/20260921-031500",
            virtual=hosts if virtual else [],
        ),
        events.PlayStarted(time=START, play="Deploy engines", hosts=hosts),
    ]


def deploy(host: str, board: str, at: float = START, *, virtual: bool = True, **changed: object) -> list[events.Event]:
    """All events of one device on which everything goes well."""
    element = engine(board, **changed)
    return [
        events.HostState(time=at + 0.1, host=host, state="connecting"),
        events.HostState(time=at + 0.4, host=host, state="gathering facts"),
        events.FactsGathered(time=at + 0.6, host=host, facts=facts(board, virtual=virtual)),
        events.TaskStarted(time=at + 0.7, host=host, task="Set the power mode"),
        events.TaskFinished(
            time=at + 0.9,
            host=host,
            task="Set the power mode",
            module="nvpmodel",
            status="changed",
            duration_s=0.21,
            message="15W -> MAXN",
            diff=("15W", "MAXN"),
        ),
        events.TaskFinished(
            time=at + 1.0, host=host, task="Lock the clocks", module="jetson_clocks", status="ok", duration_s=0.1
        ),
        events.TaskFinished(
            time=at + 1.0,
            host=host,
            task="Stop the desktop",
            module="service",
            status="skipped",
            duration_s=0.0,
            message="headless already",
        ),
        events.HostState(time=at + 1.1, host=host, state="pushing", detail="digits.onnx", fraction=0.5),
        events.BytesPushed(time=at + 1.2, host=host, size_bytes=151_234),
        events.BytesPushed(time=at + 1.3, host=host, size_bytes=92_160),
        events.HostState(time=at + 1.4, host=host, state="building", detail="digits fp16", fraction=0.1),
        events.HostState(time=at + 2.4, host=host, state="building", detail="digits fp16", fraction=0.43),
        events.HostState(time=at + 3.4, host=host, state="building", detail="digits fp16", fraction=0.9),
        events.HostState(time=at + 5.6, host=host, state="validating", detail="digits fp16"),
        events.HostState(time=at + 6.0, host=host, state="benchmarking", detail="digits fp16"),
        events.EngineFinished(time=at + 8.0, host=host, engine=element),
        events.TaskFinished(
            time=at + 8.0,
            host=host,
            task="Deploy the engine",
            module="engine",
            status="changed",
            duration_s=6.9,
            message="digits fp16 built",
        ),
        events.HostState(time=at + 8.1, host=host, state="ok"),
        events.HostFinished(time=at + 8.1, host=host, status="ok"),
    ]


def all_well() -> list[events.Event]:
    happened = begin(list(BOARDS))
    happened += [
        events.HostState(
            time=START + 0.5, host="controller", state="exporting", detail="digits opset 13", fraction=0.3
        ),
        events.Note(time=START + 0.6, host="controller", level="info", text="digits: opset 13, fold constants: l2 0"),
        events.Note(time=START + 0.7, host=None, level="debug", text="store: 3 blobs"),
        events.Note(time=START + 0.8, host="nano-01", level="warning", text="weak supply: 5 V 2 A, MAXN may brown out"),
    ]
    for number, board in enumerate(BOARDS):
        happened += deploy(board, board, START + number)
    return finish(happened)


def troubled() -> list[events.Event]:
    """One device well, one failed, one unreachable, one blocked, one fallen back to fp32."""
    happened = begin(list(BOARDS))
    happened += deploy("agx-orin-01", "agx-orin-01", START)
    happened += deploy(
        "orin-nano-01",
        "orin-nano-01",
        START + 1,
        precision="fp32",
        reason="fp16 gave 1 200 Inf in logits: fp32",
        rungs=[
            {"precision": "fp16", "action": "failed", "reason": "logits: 1200 Inf where the reference has none"},
            {"precision": "fp32", "action": "built", "reason": "passed"},
        ],
    )
    happened += [
        events.HostState(time=START + 1, host="xavier-nx-01", state="connecting"),
        events.HostState(time=START + 4, host="xavier-nx-01", state="unreachable"),
        events.HostFinished(time=START + 4, host="xavier-nx-01", status="unreachable", error=UNREACHABLE),
        events.HostState(time=START + 1, host="nano-01", state="connecting"),
        events.FactsGathered(time=START + 2, host="nano-01", facts=facts("nano-01")),
        events.HostState(time=START + 3, host="nano-01", state="building", detail="digits fp16", fraction=0.2),
        events.EngineFinished(
            time=START + 9,
            host="nano-01",
            engine=engine(
                "nano-01",
                action="failed",
                reason="trtexec was killed by the kernel (out of memory)",
                release=None,
                rungs=[{"precision": "fp16", "action": "failed", "reason": "killed by the kernel (out of memory)"}],
                verdict=None,
                latency_ms=None,
                throughput_per_s=None,
                size_bytes=None,
                artifact=None,
                passport=None,
            ),
        ),
        events.TaskFinished(
            time=START + 9,
            host="nano-01",
            task="Deploy the engine",
            module="engine",
            status="failed",
            duration_s=6.0,
            message=OUT_OF_MEMORY["what"],
        ),
        events.HostFinished(time=START + 9, host="nano-01", status="failed", error=OUT_OF_MEMORY),
        events.FactsGathered(time=START + 2, host="agx-xavier-01", facts=facts("agx-xavier-01")),
        events.EngineFinished(
            time=START + 3,
            host="agx-xavier-01",
            engine=engine(
                "agx-xavier-01",
                action="blocked",
                opset=17,
                key=None,
                release=None,
                reason="TensorRT 8.0.1 has no LayerNormalization: use opset 13",
                build_s=None,
                verdict=None,
                latency_ms=None,
                throughput_per_s=None,
                size_bytes=None,
                artifact=None,
                passport=None,
                attempts=None,
                rungs=None,
                export=None,
            ),
        ),
        events.HostFinished(
            time=START + 3,
            host="agx-xavier-01",
            status="failed",
            error={
                "what": "digits cannot be built on agx-xavier-01",
                "why": "TensorRT 8.0.1 has no LayerNormalization",
                "remedy": "ask for opset 13",
                "log": None,
            },
        ),
    ]
    return finish(happened)


def many(count: int) -> list[events.Event]:
    """`count` devices; every tenth is unreachable with one and the same error."""
    boards = list(BOARDS)
    hosts = [f"line-{number:03}" for number in range(count)]
    happened = begin(hosts)
    for number, host in enumerate(hosts):
        if number % 10 == 9:
            happened += [
                events.HostState(time=START, host=host, state="connecting"),
                events.HostFinished(time=START + 5, host=host, status="unreachable", error=UNREACHABLE),
            ]
        else:
            happened += deploy(host, boards[number % len(boards)], START + number / 10)
    return finish(happened)


def result_of(happened: list[events.Event]) -> dict:
    collector = ResultCollector()
    for event in happened:
        collector(event)
    return collector.result()


def finish(happened: list[events.Event]) -> list[events.Event]:
    end = max(event.time for event in happened) + 0.2
    result = result_of(happened)
    return [*happened, events.RunFinished(time=end, run=result["run"], result=result)]
