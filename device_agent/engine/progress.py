"""How far a build is, told from trtexec's log lines."""

import math
import re
import time

from .texts import strip

# (text, phase from here on, fraction reached). Tactics are timed between "parsed" and the memory report; trtexec prints
# nothing countable there, so that stretch is filled by the clock.
_STEPS = (
    (re.compile(r"Start parsing network model|^Input filename:"), "parsing", 0.02),
    (re.compile(r"Finish(?:ed)? parsing network model"), "building", 0.05),
    (re.compile(r"Detected \d+ inputs? and \d+ outputs? network tensors"), "building", 0.90),
    (re.compile(r"Total Host Persistent Memory"), "building", 0.92),
    (re.compile(r"Engine generation completed|Engine built in|Created engine with size"), "saving", 0.95),
)
_TACTICS = (0.05, 0.90)
_USUAL_S = 180.0
_EVERY_S = 0.5


class Progress(object):
    """Turns lines into `job.event(phase, fraction, line)`; the fraction never goes back, not even in a second attempt.

    args:
        expected_s (float or None): how long such a build took before
    """

    def __init__(self, job, expected_s=None):
        self._job = job
        self._expected_s = float(expected_s or _USUAL_S)
        self._phase = "parsing"
        self._fraction = 0.0
        self._tactics_since = None
        self._told = 0.0

    def restart(self):
        """A new attempt begins."""
        self._phase = "parsing"
        self._tactics_since = None

    def feed(self, line):
        """Take one line of output; at most two events a second, and one for every change of phase."""
        text = strip(line)
        before = self._phase
        for pattern, phase, fraction in _STEPS:
            if pattern.search(text):
                self._phase = phase
                self._advance(fraction)
                self._tactics_since = time.monotonic() if fraction == _TACTICS[0] else None
                break
        if self._tactics_since is not None:
            passed = (time.monotonic() - self._tactics_since) / self._expected_s
            self._advance(_TACTICS[0] + (_TACTICS[1] - _TACTICS[0]) * (1 - math.exp(-2 * passed)))
        now = time.monotonic()
        if text and (self._phase != before or now - self._told >= _EVERY_S):
            self.tell(text)

    def tell(self, line, fraction=None):
        """An event now."""
        self._advance(fraction or 0.0)
        self._told = time.monotonic()
        self._job.event(phase=self._phase, fraction=round(self._fraction, 3), line=line)

    def saving(self):
        """The tool is done; what is left is ours."""
        self._phase = "saving"
        self.tell("checking and saving the engine", 0.97)

    def _advance(self, fraction):
        self._fraction = max(self._fraction, fraction)
