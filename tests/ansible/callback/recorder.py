"""An Ansible callback that writes what happened as one JSON line per result, into the file FLEET_RECORD names."""

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, result, status):
        values = result._result
        task = result._task
        line = {"host": result._host.get_name(), "task": task.get_name(), "status": status}
        if task.action.rpartition(".")[2] == "debug" and status == "ok" and "results" not in values:
            line["said"] = self._said(values)
        if status in ("failed", "ignored"):
            line["msg"] = str(values.get("msg", ""))
        with open(os.environ["FLEET_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _said(self, values):
        shown = {k: v for k, v in values.items() if k not in ("changed", "failed") and not k.startswith("_")}
        return str(shown["msg"]) if "msg" in shown else str(next(iter(shown.values()), ""))

    def v2_runner_on_ok(self, result):
        self._write(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result):
        self._write(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self._write(result, "unreachable")
