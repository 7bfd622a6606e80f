"""Runs engine functions as the supervisor of a job does, under whatever Python starts this file.

stdin: {"agent": folder that holds device_agent, "root": path, "steps": [{"kind", "job", "spec"}]}
stdout: one {"result"} or {"error"} per step; a step that fails ends it.
"""

import json
import os
import sys


def main():
    request = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    sys.path.insert(0, request["agent"])
    import importlib

    from device_agent.errors import JobError
    from device_agent.jobs.work import Job
    from device_agent.root import Root

    answers = []
    for step in request["steps"]:
        root = Root(request["root"])
        folder = root.job(step["job"])
        os.makedirs(folder)
        job = Job(folder, step["spec"], root)
        module = importlib.import_module("device_agent.engine." + step["kind"])
        try:
            answers.append({"result": getattr(module, step["kind"])(step["spec"], job)})
        except JobError as problem:
            answers.append({"error": problem.to_json()})
            break
    json.dump(answers, sys.stdout)


main()
