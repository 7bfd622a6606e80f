"""A run over fake devices: real playbooks, inventory, runner and journal; only the links are made up."""

from concurrent.futures import Future
from types import SimpleNamespace

from orchestrator.errors import ActionError, FleetError
from orchestrator.events import Events, HostFinished, TaskFinished
from orchestrator.inventory.inventory import load_inventory
from orchestrator.playbook.context import RunContext, RunOptions
from orchestrator.playbook.parse import load_playbook
from orchestrator.runs.journal import Journal
from orchestrator.runs.runner import Runner


class FakeDevice:
    """Answers each action with what `answers` says: a dict (the data), a function of the arguments, or an exception.

    A batch is carried out as the agent does it. `requests` has every request, `actions` every action with its args.
    """

    def __init__(self, name, answers):
        self.name = name
        self.answers = answers
        self.closed = False
        self.requests = []
        self.actions = []

    def facts(self):
        return {"virtual": True, "hostname": self.name}

    def reply(self, step):
        action, args = step["action"], step.get("args") or {}
        self.actions.append((action, args))
        answer = self.answers.get(action, {})
        if callable(answer):
            answer = answer(args)
        if isinstance(answer, ActionError):
            return {"ok": False, "error": {"what": answer.what, "why": answer.why, "remedy": answer.remedy}}
        if isinstance(answer, Exception):
            raise answer
        answer = dict(answer)
        changed = answer.pop("changed", True)
        return {"ok": True, "changed": changed, "data": answer, "diff": None}

    def call(self, action, args=None, *, on_event=None, check=False, become=False, timeout_s=None):
        self.requests.append(action)
        if action != "batch":
            reply = self.reply({"action": action, "args": args})
            if not reply["ok"]:
                raise ActionError(reply["error"]["what"], reply["error"]["why"], reply["error"]["remedy"])
            return SimpleNamespace(changed=reply["changed"], data=reply["data"], diff=None)
        ending = None
        for index, step in enumerate(args["steps"]):
            if ending is not None and (step.get("group") is None or step.get("group") != ending.get("group")):
                break
            reply = self.reply(step)
            on_event("step", {"index": index, "reply": reply})
            failed = not reply["ok"] or reply["data"].get("failed", reply["data"].get("rc") not in (None, 0))
            if failed and not step.get("ignore"):
                ending = step
        return SimpleNamespace(changed=False, data={"done": index + 1}, diff=None)

    def submit(self, action, args=None, **how):
        future = Future()
        try:
            future.set_result(self.call(action, args, **how))
        except FleetError as problem:
            future.set_exception(problem)
        return future

    def close(self):
        self.closed = True


class FakeRuns:
    """Runs playbooks of a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, playbook, hosts=("a", "b"), answers=None, extra=None, owed=None, inventory=None, **options):
        """Run a playbook's text.

        Args:
            answers: by host (or "*"), what its devices answer, or the exception of connecting.
        """
        path = self.folder / "play.yml"
        path.write_text(playbook)
        source = self.folder / "inventory.yml"
        if inventory:
            source.write_text(inventory)
        hosts_of = load_inventory(
            [source] if inventory else [",".join(hosts) + ","], playbook_dir=self.folder, extra_vars=extra
        )
        seen, devices = [], {}
        (self.folder / "journal.jsonl").unlink(missing_ok=True)
        journal = Journal(self.folder / "journal.jsonl")

        def connect(host):
            answer = {**(answers or {}).get("*", {})}
            own = (answers or {}).get(host.name, {})
            if isinstance(own, Exception):
                raise own
            answer.update(own)
            device = FakeDevice(host.name, answer)
            device.variables = host.variables
            devices.setdefault(host.name, []).append(device)
            return device

        context = RunContext(
            "run",
            self.folder,
            RunOptions(**options),
            Events(seen.append, journal),
            store=None,
            exports=None,
            models=None,
        )
        plays = load_playbook(path, extra)
        runner = Runner(plays, hosts_of, hosts_of.select("all"), context, connect, extra, owed)
        runner.go()
        journal.close()
        assert all(device.closed for made in devices.values() for device in made)
        names = [host.name for host in hosts_of.select("all")]
        finished = [e for e in seen if isinstance(e, TaskFinished) and e.task != "Gathering Facts"]
        return SimpleNamespace(
            ends={e.host: e for e in seen if isinstance(e, HostFinished)},
            tasks={name: [(e.task, e.status) for e in finished if e.host == name] for name in names},
            messages={name: {e.task: e.message for e in finished if e.host == name} for name in names},
            order=[(e.host, e.task) for e in finished],
            seen=seen,
            devices={name: made[0] for name, made in devices.items()},
            all_devices=devices,
            journal=self.folder / "journal.jsonl",
            runner=runner,
        )
