"""What trtexec prints when something goes wrong, read line by line into findings.

Texts: NVIDIA/TensorRT samples (sampleEngines.cpp, sampleReporting.cpp by tag), the ONNX parser's ModelImporter.cpp, and
failures reported from real boards (NVIDIA/TensorRT #614, #1384, #1997, #2041, #3355, #4258).
"""

import re

from .tool import banner_version

PASSED = "&&&& PASSED"
FAILED = "&&&& FAILED"

_PREFIX = re.compile(r"^\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] (?:\[(\w)\] )?(?:\[TRT\] )?")

_UNKNOWN_FLAG = re.compile(r"Unknown option: (\S+)")
_PARSING_NODE = re.compile(r'While parsing node number (\d+) \[(\w+)(?: -> "([^"]*)")?')
_IN_NODE = re.compile(r"In node (-?\d+) with name: (\S*) and operator: (\w+) \(\w+\): (.*)")
_NODE_NAME = re.compile(r'^name: "([^"]*)"')
_PARSER_MESSAGE = re.compile(r"^\[\d+\] (.+)")
_NO_IMPORTER = re.compile(r"No importer registered for op: (\w+)")
_PARSER = re.compile(r"Failed to parse onnx file|Parsing model failed")

_OOM = re.compile(
    r"out of memory|OutOfMemory|std::bad_alloc|NvMapMemAllocInternalTagged|could not be allocated\. There may not be "
    r"enough free memory|User allocator error allocating",
    re.IGNORECASE,
)
_TACTIC_WITHOUT_MEMORY = re.compile(r"Skipping tactic .* due to (?:oom|insuff?icient memory)")
_WORKSPACE_TOO_SMALL = re.compile(
    r"Try increasing the workspace|increasing workspace|do not have sufficient workspace memory", re.IGNORECASE
)
_NO_DLA = re.compile(r"Cannot create DLA engine, \d+ not available")

ENGINE = (
    (
        re.compile(r"expecting compute (\d+\.\d+) got compute (\d+\.\d+)"),
        "the engine was built for another GPU (compute {0} and {1} meet)",
    ),
    (re.compile(r"Version tag does not match"), "the engine was built by another TensorRT"),
    (re.compile(r"Magic tag does not match"), "the file is not an engine of this TensorRT, or it is cut short"),
    (re.compile(r"Platform specific tag mismatch"), "the engine was built on another kind of machine"),
    (
        re.compile(r"Engine deserialization failed|Deserialize the cuda engine failed|Serialization Error in"),
        "TensorRT cannot load the engine",
    ),
    (re.compile(r"Error (?:opening|loading) engine file|Engine set up failed"), "TensorRT cannot load the engine"),
)
"""(text, meaning): an engine that does not fit the device. Earlier entries name causes, later ones symptoms."""

_OTHER_MODEL = re.compile(r"Using an engine plan file across different models of devices")

_DIAGNOSES = (
    re.compile(r"Throughput may be bound by "),
    re.compile(r"GPU compute time is unstable"),
)


def strip(line):
    """A log line without its time, level and `[TRT]`."""
    return _PREFIX.sub("", line.rstrip("\r\n"))


class Watch(object):
    """Reads trtexec's output and remembers what matters of it.

    attributes:
        passed (bool): `&&&& PASSED` was seen, and no `&&&& FAILED`
        version (tuple or None): TensorRT's version as the banner says
        flag (str or None): the flag that this trtexec does not know
        parser (dict or None): operator, node, name, output, message: as far as the ONNX parser said
        oom, workspace, dla, engine (str or None): the first line that says so; `engine_means` is its meaning
        skipped_tactics (int): tactics that were not tried for want of memory
        diagnoses (list of str): trtexec's own doubts about a measurement
        errors (list of str): the first lines at level E
    """

    def __init__(self):
        self.passed = False
        self.version = None
        self.flag = None
        self.parser = None
        self.oom = None
        self.workspace = None
        self.dla = None
        self.engine = None
        self.engine_means = ""
        self.other_model = False
        self.skipped_tactics = 0
        self.diagnoses = []
        self.errors = []
        self._engine_rank = len(ENGINE)
        self._operator = None
        self._parser_failed = False

    def feed(self, line):
        """Take one line of output."""
        if line.startswith("&&&&"):
            self.version = self.version or banner_version(line)
            self.passed = line.startswith(PASSED) or (self.passed and not line.startswith(FAILED))
            return
        level = _PREFIX.match(line)
        text = strip(line)
        if level and level.group(1) == "E" and len(self.errors) < 20:
            self.errors.append(text)
        self._flag(text)
        self._parse_error(text)
        self._memory(text)
        if not self.dla and _NO_DLA.search(text):
            self.dla = text
        self._engine(text)
        if any(pattern.search(text) for pattern in _DIAGNOSES):
            self.diagnoses.append(text.lstrip("* "))

    def _flag(self, text):
        match = _UNKNOWN_FLAG.search(text)
        if match and not self.flag:
            self.flag = match.group(1)

    def _parse_error(self, text):
        match = _PARSING_NODE.search(text)
        if match:
            node, operator, output = match.groups()
            self.parser = {"node": int(node), "operator": operator, "output": output, "name": None, "message": ""}
            return
        match = _IN_NODE.search(text)
        if match and not self.parser:
            node, name, operator, message = match.groups()
            self.parser = {
                "node": int(node),
                "operator": operator,
                "output": None,
                "name": name or None,
                "message": message,
            }
            return
        match = _NO_IMPORTER.search(text)
        if match:
            self._operator = match.group(1)
        if self.parser:
            name = _NODE_NAME.match(text)
            if name and not self.parser["name"]:
                self.parser["name"] = name.group(1)
            message = _PARSER_MESSAGE.match(text)
            if message and not self.parser["message"]:
                self.parser["message"] = message.group(1)
        self._parser_failed = self._parser_failed or bool(_PARSER.search(text))

    def parse_failure(self):
        """What the ONNX parser refused (a dict as `parser`), or None."""
        if self.parser:
            return self.parser
        if self._parser_failed:
            return {"node": None, "operator": self._operator, "output": None, "name": None, "message": ""}
        return None

    def _memory(self, text):
        if _TACTIC_WITHOUT_MEMORY.search(text):
            self.skipped_tactics += 1
        if not self.oom and _OOM.search(text):
            self.oom = text
        if not self.workspace and _WORKSPACE_TOO_SMALL.search(text):
            self.workspace = text

    def _engine(self, text):
        if _OTHER_MODEL.search(text):
            self.other_model = True
            return
        for rank, (pattern, meaning) in enumerate(ENGINE[: self._engine_rank]):
            match = pattern.search(text)
            if match:
                self._engine_rank = rank
                self.engine = text
                self.engine_means = meaning.format(*match.groups())
                return
