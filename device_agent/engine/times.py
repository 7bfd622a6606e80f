"""trtexec's exported times and performance summary, of every release that Fleet knows."""

import re

from ..errors import JobError
from .texts import strip

_RECORD = re.compile(r"\{([^{}]*)\}")
_FIELD = re.compile(r'"(\w+)"\s*:\s*([-+\w.]+)')
_QUERIES = re.compile(r"Timing trace (?:has|of) (\d+) (?:queries|iterations)")
_THROUGHPUT = re.compile(r"^throughput: ([\d.eE+-]+) qps", re.IGNORECASE)
_WALL = re.compile(r"^(?:Total Host )?walltime: ([\d.eE+-]+) s", re.IGNORECASE)

# What a query's host latency is made of, where latencyMs is not given: in/out up to 7.x, h2d/d2h from 8.0.
_PARTS = (("inMs", "computeMs", "outMs"), ("h2dMs", "computeMs", "d2hMs"))


class Summary(object):
    """What the log says of a measurement.

    attributes:
        queries (int or None): timed queries, without warm-up
        throughput_per_s, wall_s (float or None)
    """

    def __init__(self):
        self.queries = None
        self.throughput_per_s = None
        self.wall_s = None

    def feed(self, line):
        """Take one line of output."""
        text = strip(line).strip()
        match = _QUERIES.search(text)
        if match:
            self.queries = int(match.group(1))
        match = _THROUGHPUT.match(text)
        if match:
            self.throughput_per_s = float(match.group(1))
        match = _WALL.match(text)
        if match:
            self.wall_s = float(match.group(1))


def parse(text, warmup_ms, queries=None):
    """(latency_ms, gpu_ms) of the timed queries, in time order.

    Of the start and end fields only startComputeMs is used: 7.1 swaps those of input and enqueue. Old releases (seen up
    to 8.4) export the warm-up too. It comes first, so the last `queries` records count; where the log did not say how
    many, those whose computation began after the warm-up.

    args:
        text (str): the file of --exportTimes
        queries (int or None): timed queries as the log says
    raises:
        JobError (tool): no records, or records without latency and compute time
    """
    records = [dict(_FIELD.findall(record)) for record in _RECORD.findall(text)]
    timed = records
    if queries and queries <= len(records):
        timed = records[-queries:]
    else:
        timed = [one for one in records if float(one.get("startComputeMs", "inf")) >= warmup_ms]
    latency_ms, gpu_ms = [], []
    for record in timed:
        latency = _latency(record)
        if latency is None or "computeMs" not in record:
            why = "its records have {}".format(", ".join(sorted(record)) or "no fields")
            raise JobError("tool", "trtexec's exported times cannot be read", why, "see times.json of the job")
        latency_ms.append(latency)
        gpu_ms.append(float(record["computeMs"]))
    if not latency_ms:
        raise JobError("tool", "trtexec exported no times", "{} records, none timed".format(len(records)))
    return latency_ms, gpu_ms


def _latency(record):
    if "latencyMs" in record:
        return float(record["latencyMs"])
    for parts in _PARTS:
        if all(part in record for part in parts):
            return sum(float(record[part]) for part in parts)
    return None
