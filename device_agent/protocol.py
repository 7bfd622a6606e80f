"""The stream between controller and agent: one JSON object a line, after a nonce that ends whatever came before."""

import json
import os
import threading

from .errors import ActionError

LINE_LIMIT = 8 * 1024 * 1024
"""Bytes of one request; anything larger travels as a blob."""


class Channel(object):
    """The protocol's private end of standard input and output.

    Taking the channel points fd 1 at stderr and fd 0 at /dev/null, so that neither a stray print nor a child can touch
    the stream. Sending is safe from any thread.
    """

    def __init__(self, source, sink):
        self._source = source
        self._sink = sink
        self._lock = threading.Lock()

    @classmethod
    def take_standard_streams(cls):
        source = os.fdopen(os.dup(0), "rb")
        sink = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(source, sink)

    def await_nonce(self, nonce):
        """Drop input up to and including the line `nonce`; false where input ended before it."""
        wanted = nonce.encode("utf-8")
        while True:
            line = self._source.readline(LINE_LIMIT)
            if not line:
                return False
            if line.strip() == wanted:
                return True

    def greet(self, nonce, greeting):
        # The empty line ends a banner that did not end its own.
        self._write("\n{} {}\n".format(nonce, json.dumps(greeting, sort_keys=True)))

    def receive(self):
        """The next request as a dict, or None at the end of input.

        raises: ActionError (refused) for a line that is no request; the stream itself stays usable.
        """
        line = b"\n"
        while line and not line.strip():
            line = self._source.readline(LINE_LIMIT)
        if not line:
            return None
        if not line.endswith(b"\n") and len(line) >= LINE_LIMIT:
            while line and not line.endswith(b"\n"):
                line = self._source.readline(LINE_LIMIT)
            raise ActionError(
                "a request is too long",
                "at most {} bytes a line".format(LINE_LIMIT),
                "send it as a blob",
                kind="refused",
            )
        try:
            request = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as problem:
            raise ActionError("a request is not JSON", str(problem)[:200], kind="refused")
        if not isinstance(request, dict):
            raise ActionError("a request must be a JSON object", kind="refused")
        return request

    def send(self, message):
        """Send one message. raises: ValueError where it is not JSON (a NaN, say), OSError where nobody listens."""
        self._write(json.dumps(message, sort_keys=True, allow_nan=False) + "\n")

    def _write(self, text):
        raw = text.encode("ascii")
        with self._lock:
            self._sink.write(raw)
            self._sink.flush()
