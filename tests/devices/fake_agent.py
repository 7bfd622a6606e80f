"""A tiny agent of the real protocol whose actions misbehave on demand, brought to a device like the real one."""

from orchestrator.devices.archive import Archive, digest_of

SOURCE = r"""
import json, os, sys, threading, time

nonce = sys.argv[sys.argv.index("--nonce") + 1]
source = os.fdopen(os.dup(0), "rb")
lock = threading.Lock()

def raw(text):
    with lock:
        os.write(1, text.encode())

def say(**message):
    raw(json.dumps(message) + "\n")

while source.readline().strip() != nonce.encode():
    pass
raw("\n%s %s\n" % (nonce, json.dumps(
    {"protocol": 1, "agent": "fake", "python": "3", "pid": os.getpid(), "uid": 1000, "root": "/nowhere"})))
elevated = False

def follow(number, args):
    # A job of `total` events, one each 20 ms of its life, which began when its file was made.
    path = args["id"]
    total = int(open(path).read())
    offset = args["offset"]
    begun = os.stat(path).st_mtime
    for n in range(total):
        if (n + 1) * 10 <= offset:
            continue
        time.sleep(max(0, begun + 0.02 * n - time.time()))
        say(id=number, event="job", data={"offset": (n + 1) * 10, "n": n})
    say(id=number, ok=True, changed=False, data={"state": "done", "result": {"n": total}, "error": None}, diff=None)

for line in source:
    request = json.loads(line)
    number, action, args = request["id"], request["action"], request["args"]
    if action == "job_follow":
        threading.Thread(target=follow, args=(number, args), daemon=True).start()
        continue
    if action == "elevate":
        elevated = args["password"] == "right"
        if not elevated:
            say(id=number, ok=False, error={"kind": "refused", "what": "sudo refused the password",
                "why": "", "data": {}, "remedy": "set ansible_become_password (in a vault), or use --ask-become-pass"})
            continue
    if request["become"] and not elevated:
        say(id=number, ok=False, error={"kind": "refused", "what": "not root", "why": "", "remedy": "", "data": {}})
        continue
    if action == "sleep":
        time.sleep(args["s"])
    if action == "garbage":
        raw("Segmentation fault somewhere\n")
    if action == "die":
        os.write(2, b"out of luck\n")
        os._exit(3)
    if action == "events":
        for n in range(args["n"]):
            say(id=number, event="progress", data={"n": n})
    say(id=number, ok=True, changed=False, data={"args": args, "x": "x" * args.get("size", 0)}, diff=None)
os._exit(0)
"""


def fake_archive(source: str = SOURCE) -> Archive:
    files = {"__main__.py": source.encode()}
    return Archive(files, digest_of(files))


def broken_archive() -> Archive:
    """An agent whose archive does not have the content that its digest promises."""
    files = {"__main__.py": b"raise SystemExit('the damaged agent ran')"}
    return Archive(files, "0" * 32)
