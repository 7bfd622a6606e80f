"""A trtexec of any release for tests: as strict about flags, as lax about input files, and as odd in what it prints.

It reads `fake.json` beside itself ({"version": "8.2", "banner": "8201" or "", "scenario": {...}}) and the CSV of flags,
and appends every command line to `calls.jsonl`. Its "network" doubles every float input and copies every integer input.
"""

import array
import csv
import json
import os
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Read through helper functions in sampleOptions.cpp, so the CSV (a text search) lacks them in some columns.
HELPER_FLAGS = ["--minShapes", "--optShapes", "--maxShapes", "--shapes", "--inputIOFormats", "--outputIOFormats"]
STAMP = "[05/18/2023-21:52:15] "


def known_flags(path, version):
    with open(path) as stream:
        return HELPER_FLAGS + [row["flag"] for row in csv.DictReader(stream) if row[version]]


def say(level, text):
    # E and W go to stderr, as in the real one.
    stream = sys.stderr if level in "EW" else sys.stdout
    stream.write(f"{STAMP}[{level}] {text}\n")
    stream.flush()


class Fake:
    def __init__(self):
        with open(os.path.join(HERE, "fake.json")) as stream:
            config = json.load(stream)
        self.version = config["version"]
        self.number = tuple(int(n) for n in self.version.split("."))
        self.scenario = config.get("scenario", {})
        self.tag = " [TensorRT v{}]".format(config["banner"]) if config.get("banner") else ""
        self.flags = known_flags(os.path.join(HERE, "trtexec_flags.csv"), self.version)
        self.arguments = {}
        for item in sys.argv[1:]:
            name, _, value = item.partition("=")
            self.arguments[name] = value

    def banner(self, word):
        sys.stdout.write("&&&& {} TensorRT.trtexec{} # {}\n".format(word, self.tag, " ".join(sys.argv)))
        sys.stdout.flush()

    def end(self, good):
        self.banner("PASSED" if good else "FAILED")
        sys.exit(0 if good else 1)

    def main(self):
        with open(os.path.join(HERE, "calls.jsonl"), "a") as stream:
            stream.write(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd()}) + "\n")
        if self.scenario.get("dead"):
            sys.stderr.write("trtexec: error while loading shared libraries: libnvinfer.so.8\n")
            sys.exit(127)
        self.banner("RUNNING")
        if "--help" in self.arguments:
            self.help()
            self.end(True)
        for name, value in self.arguments.items():
            if name not in self.flags or name == self.scenario.get("refuses"):
                say("E", f"Unknown option: {name} {value}")
                self.help()
                self.end(False)
        if "--onnx" in self.arguments:
            self.build()
        else:
            self.infer()

    def help(self):
        print("=== Model Options ===")
        for flag in sorted(self.flags):
            if flag == "-h":
                continue
            text = (
                "  --help, -h                  Print this message"
                if flag == "--help"
                else "  {}=N                  text"
            )
            print(text.format(flag))
            print("                              (has been superseded by --ghostFlag=N)")

    # building

    def workspace(self):
        if "--memPoolSize" in self.arguments:
            return int(re.match(r"workspace:(\d+)$", self.arguments["--memPoolSize"]).group(1))
        return int(self.arguments["--workspace"])

    def build(self):
        scenario = self.scenario
        with open(self.arguments["--onnx"], "rb") as stream:
            model = stream.read()
        say("I", "Start parsing network model")
        if scenario.get("parser"):
            for line in scenario["parser"]:
                sys.stderr.write(line + "\n")
            say("I", "Finish parsing network model")
            say("E", "Parsing model failed")
            say("E", "Engine set up failed")
            self.end(False)
        say(
            "I",
            "Finish parsing network model"
            if self.number < (8, 6)
            else "Finished parsing network model. Parse time: 0.1",
        )
        if "sleep_s" in scenario:
            # A steady voice or none, for the two kinds of time limit.
            until = time.time() + scenario["sleep_s"]
            while time.time() < until:
                time.sleep(0.05)
                if scenario.get("talk"):
                    say("I", "[TRT] still timing")
        if self.workspace() > scenario.get("memory_mib", 1 << 30):
            if scenario.get("oom_text"):
                say("E", scenario["oom_text"])
                say("E", "Engine could not be created from network")
                self.end(False)
            os.kill(os.getpid(), signal.SIGKILL)
        if scenario.get("crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        for line in scenario.get("says", []):
            say("W", line)
        if "--useDLACore" in self.arguments and scenario.get("no_dla"):
            say("E", "Cannot create DLA engine, {} not available".format(self.arguments["--useDLACore"]))
            say("E", "Engine set up failed")
            self.end(False)
        if "--timingCacheFile" in self.arguments:
            with open(self.arguments["--timingCacheFile"], "ab") as stream:
                stream.write(b"tactic;")
        say("I", "[TRT] Detected 1 inputs and 1 output network tensors.")
        say("I", "Engine built in 12.3 sec.")
        if scenario.get("disk") == "full":
            say("E", "Saving engine to file failed.")
            say("E", "Engine set up failed")
            self.end(False)
        if scenario.get("leaves") != "nothing":
            with open(self.arguments["--saveEngine"], "wb") as stream:
                stream.write(b"" if scenario.get("leaves") == "empty" else b"engine:" + model)
        if scenario.get("silent_end"):
            sys.exit(0)
        if not {"--buildOnly", "--skipInference"} & set(self.arguments):
            say("E", "inference was not asked for")
            self.end(False)
        self.end(True)

    # inference

    def infer(self):
        with open(self.arguments["--loadEngine"], "rb") as stream:
            if not stream.read().startswith(b"engine:"):
                say("E", "Engine deserialization failed")
                self.end(False)
        for line in self.scenario.get("load_fails", []):
            sys.stderr.write(line + "\n")
        if self.scenario.get("load_fails"):
            say("E", "Engine set up failed")
            self.end(False)
        if self.number < (8, 2) and "--explicitBatch" not in self.arguments and "--shapes" not in self.arguments:
            say("E", "implicit batch on an explicit engine")
            self.end(False)
        if "--loadInputs" in self.arguments:
            self.compute()
        if "--exportTimes" in self.arguments:
            self.time()
        self.end(True)

    def compute(self):
        outputs = []
        for pair in self.arguments["--loadInputs"].split(","):
            name, _, path = pair.rpartition(":")
            spec = self.scenario["inputs"][name]
            code = {"float32": "f", "int32": "i", "int64": "q"}[spec["dtype"]]
            wanted = array.array(code).itemsize
            for n in spec["shape"]:
                wanted *= n
            with open(path, "rb") as stream:
                raw = stream.read()
            if len(raw) != wanted and self.number >= (10, 0) and len(raw) != 2 * wanted:
                say("E", "Unexpected file size")
                self.end(False)
            values = array.array(code, (raw + b"\0" * wanted)[:wanted])
            doubled = array.array(code, [2 * v for v in values]) if code == "f" else values
            if self.scenario.get("poison") and code == "f":
                doubled[0], doubled[1], doubled[2] = float("nan"), float("inf"), float("-inf")
            outputs.append((name + "_out", spec, doubled))
        if "--dumpRawBindingsToFile" in self.arguments:
            self.dump(outputs)
        if "--exportOutput" in self.arguments:
            self.export(outputs)

    def dump(self, outputs):
        spelled = {"float32": "Float", "int32": "Int32", "int64": "Int64"}
        if self.scenario.get("raw") == "unknown type":
            spelled["float32"] = "Float6E3M2"
        print(STAMP + "[I] Dumping I/O Bindings to RAW Files:")
        for name, spec, values in outputs:
            dims = ".".join(str(n) for n in spec["shape"])
            path = re.sub(r"[^\w.,-]", "_", "{}.output.{}.{}.raw".format(name, dims, spelled[spec["dtype"]]))
            if self.scenario.get("raw") != "mute":
                print(
                    "Writing file for output binding {} (with datatype {} and dimensions {}) to {}".format(
                        name, spelled[spec["dtype"]], dims, path
                    )
                )
            with open(path, "wb") as stream:
                values.tofile(stream)

    def export(self, outputs):
        def text(value):
            # operator<< of a float: six significant digits, and nan, -nan, inf, which are no JSON.
            return str(value) if isinstance(value, int) else f"{value:g}"

        with open(self.arguments["--exportOutput"], "w") as stream:
            separator = "  "
            stream.write("[\n")
            for name, spec, values in outputs:
                shown = ", ".join(text(v) for v in values)
                if self.scenario.get("chars"):
                    shown = ", ".join(["\x07", "]", "\x00"])
                stream.write(separator + '{ "name" : "' + name + '"\n  , "dimensions" : "')
                stream.write("x".join(str(n) for n in spec["shape"]) + '"\n  , "values" : [ ' + shown + " ]\n  }")
                separator = ", "
            stream.write("\n]\n")

    def time(self):
        warmup, iterations = int(self.arguments["--warmUp"]), int(self.arguments["--iterations"])
        warm = [(-warmup, 9.0)] * 3
        records = [((n + 1) * 10.0, 2.0 + n / 100.0) for n in range(iterations)]
        names = ("In", "Out", "in", "out") if self.number < (8, 0) else ("H2d", "D2h", "h2d", "d2h")
        exported = (warm if self.number < (8, 5) else []) + records
        with open(self.arguments["--exportTimes"], "w") as stream:
            stream.write("[\n")
            for at, (start, compute) in enumerate(exported):
                start += warmup
                enqueue, first = (start + 0.1, start) if self.number >= (7, 2) else (start, start + 0.1)
                fields = [
                    ("startEnqMs", enqueue),
                    ("endEnqMs", enqueue),
                    ("start" + names[0] + "Ms", first),
                    ("startComputeMs", start),
                    ("endComputeMs", start + compute),
                    (names[2] + "Ms", 0.25),
                    ("computeMs", compute),
                    (names[3] + "Ms", 0.25),
                    ("latencyMs", compute + 0.5),
                ]
                if self.number < (8, 4):
                    fields.append(("endToEndMs", compute * 2))
                body = ", ".join('"{}" : {:g}'.format(*field) for field in fields)
                stream.write(("  " if at == 0 else ", ") + "{ " + body + " }\n")
            stream.write("]\n")
        if self.number < (7, 0):
            say("I", f"Timing trace of {len(records)} iterations over 1.5 s")
        else:
            say("I", f"Warmup completed 3 queries over {warmup} ms")
            say("I", f"Timing trace has {len(records)} queries over 1.5 s")
        if self.number < (8, 0):
            say("I", "Host Latency")
            say("I", "percentile: 2.5 ms at 99% (end to end 3 ms at 99%)")
            say("I", "throughput: 33.3 qps")
            say("I", "walltime: 1.5 s")
        else:
            say("I", "=== Performance summary ===")
            say("I", "Throughput: 33.3 qps")
            say("I", "Latency: min = 2.5 ms, max = 3 ms, mean = 2.7 ms, median = 2.7 ms, percentile(99%) = 3 ms")
            say("I", "Total Host Walltime: 1.5 s")
            say("I", "Total GPU Compute Time: 1.2 s")
        for line in self.scenario.get("says", []):
            say("W", line)


if __name__ == "__main__":
    Fake().main()
