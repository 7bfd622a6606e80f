"""Keep a working copy of a git repository at a version."""

import os
import re

from ..arguments import Flag, Integer, Number, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path
from ..process import capture, find_tool
from ..results import Result

_SHA = re.compile(r"[0-9a-f]{7,40}\Z")


@accepts(
    repo=Text(),
    dest=Path(),
    version=Text("HEAD", pattern=r"[^-\s][^\s]*", allowed="a branch, a tag, a commit or HEAD"),
    remote=Text("origin", pattern=r"[^-\s][^\s]*", allowed="a remote's name"),
    clone=Flag(True),
    update=Flag(True),
    force=Flag(False),
    depth=Integer(None, minimum=1),
    recursive=Flag(True),
    single_branch=Flag(False),
    accept_hostkey=Flag(False),
    accept_newhostkey=Flag(False),
    key_file=Path(None),
    ssh_opts=Text(None),
    executable=Path(None),
    timeout_s=Number(3600),
)
def git(args, context):
    """Clone a repository, or bring the working copy that is there to a version.

    What the remote has is asked first (`git ls-remote`); where the working copy is at it nothing is fetched.

    args:
        repo, dest (str), version (str): a branch, a tag or a commit; HEAD is the remote's own branch
        remote (str), clone (false: never make one), update (false: leave one that is there), force (bool): throw local
        changes away; depth (int): of history; recursive (bool): submodules too; single_branch (bool)
        accept_hostkey, accept_newhostkey (bool), key_file, ssh_opts (str): for SSH; executable (str); timeout_s (float)
    data:
        before (commit or null), after (commit); remote_url_changed, submodules_changed (bool), only where looked at
    """
    copy = _Copy(args, context)
    repo = os.path.expanduser(args.repo)
    copy.repo = "file://" + device_path(repo) if repo.startswith("/") else repo
    if not os.path.exists(os.path.join(copy.folder, ".git")):
        return copy.make()
    before = copy.commit()
    if not args.update:
        return Result(False, {"before": before, "after": before})
    return copy.update(before)


class _Copy(object):
    """One working copy and its remote."""

    def __init__(self, args, context):
        self.args = args
        self.check = context.check
        self.folder = device_path(args.dest)
        self.repo = args.repo
        self.tool = find_tool(args.executable) if args.executable else find_tool("git", "/usr/bin/git")
        if self.tool is None:
            raise ActionError("there is no git on this device", "", "install the package git first")
        options = [args.ssh_opts] if args.ssh_opts else []
        if args.accept_hostkey:
            options.append("-o StrictHostKeyChecking=no")
        elif args.accept_newhostkey:
            options.append("-o StrictHostKeyChecking=accept-new")
        if args.key_file:
            options.append("-i '{}' -o IdentitiesOnly=yes".format(device_path(args.key_file)))
        # Nobody is there to type a password: without this a private repository would wait for one.
        self.env = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": " ".join(["ssh -o BatchMode=yes"] + options)}

    def run(self, *words, **options):
        """Run git in the working copy and return what it printed. raises: ActionError with git's last line."""
        folder = options.get("folder", self.folder)
        output = capture([self.tool] + list(words), timeout_s=self.args.timeout_s, env=self.env, cwd=folder)
        if output.rc != 0 and not options.get("may_fail"):
            lines = [line for line in output.stderr.strip().splitlines() if not line.startswith("hint:")]
            why = "it was not finished in time" if output.timed_out else lines[-1] if lines else ""
            raise ActionError(
                "git {} failed for {}".format(words[0], self.args.repo),
                why,
                _remedy(output.stderr),
                rc=output.rc,
                stdout=output.stdout[-10000:],
                stderr=output.stderr[-10000:],
                cmd=" ".join(("git",) + words),
            )
        return output.stdout if output.rc == 0 else None

    def commit(self, name="HEAD"):
        found = self.run("rev-parse", "--verify", "--quiet", name + "^{commit}", may_fail=True)
        return found.strip() if found else None

    def remote_version(self):
        """(kind, name, commit) of the wanted version at the remote: kind is branch, tag or commit."""
        version = self.args.version
        listed = self.run(
            "ls-remote",
            "--symref",
            self.repo,
            "HEAD",
            "refs/heads/" + version,
            "refs/tags/" + version,
            "refs/tags/" + version + "^{}",
            folder=None,
        )
        names, head = {}, None
        for line in listed.splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                head = value[len("ref: refs/heads/") :] if name == "HEAD" else head
            else:
                names[name] = value
        if version == "HEAD":
            if "HEAD" not in names:
                raise ActionError("{} has no branch yet".format(self.args.repo), "it is empty")
            return ("branch", head, names["HEAD"]) if head else ("commit", names["HEAD"], names["HEAD"])
        if "refs/heads/" + version in names:
            return "branch", version, names["refs/heads/" + version]
        for name in ("refs/tags/" + version + "^{}", "refs/tags/" + version):
            if name in names:
                return "tag", version, names[name]
        if _SHA.match(version):
            return "commit", version, version
        raise ActionError(
            "{} has no branch or tag {}".format(self.args.repo, version),
            "and it is not a commit's number",
            "look with: git ls-remote {}".format(self.args.repo),
            kind="refused",
            argument="version",
        )

    def make(self):
        """Clone. `clone: false` and check mode tell only what would come."""
        kind, name, wanted = self.remote_version()
        if self.check or not self.args.clone:
            return Result(True, {"before": None, "after": wanted}, ("", wanted + "\n"))
        parent = os.path.dirname(self.folder.rstrip("/"))
        if os.path.isdir(self.folder) and os.listdir(self.folder):
            raise ActionError("{} is there and is no git working copy".format(self.args.dest), "", "remove it first")
        os.makedirs(parent, exist_ok=True)
        words = ["clone", "--origin", self.args.remote]
        # A commit cannot be cloned by its number, and may lie deeper than any depth.
        if kind != "commit":
            words += ["--branch", name]
            words += ["--depth", str(self.args.depth)] if self.args.depth else []
        words += ["--single-branch"] if self.args.single_branch else []
        self.run(*words + ["--", self.repo, self.folder], folder=parent)
        if kind == "commit":
            self.run("checkout", "--force", "--detach", name)
        self.update_submodules()
        after = self.commit()
        return Result(True, {"before": None, "after": after}, ("", after + "\n"))

    def update(self, before):
        """Bring a working copy that is there to the version."""
        local = self.local_changes()
        if local and not self.args.force:
            raise ActionError(
                "Local modifications exist in the destination: {} (force=no).".format(self.args.dest),
                ", ".join(local[:5]),
                "commit them, or throw them away with force: true",
                before=before,
            )
        data = {"before": before}
        url = (self.run("config", "--get", "remote.{}.url".format(self.args.remote), may_fail=True) or "").strip()
        data["remote_url_changed"] = url != self.repo and url != self.args.repo
        kind, name, wanted = self.remote_version()
        there = before is not None and before.startswith(wanted)
        if self.check:
            submodules = there and self.stale_submodules()
            changed = not there or data["remote_url_changed"] or bool(local) or submodules
            return Result(changed, dict(data, after=wanted), _commits(before, wanted))
        if local:
            self.run("reset", "--hard", "HEAD")
            data["msg"] = "Local modifications exist in the destination: {}".format(self.args.dest)
        if data["remote_url_changed"]:
            verb = "set-url" if url else "add"
            self.run("remote", verb, self.args.remote, self.repo)
        if not there:
            self.fetch(kind, name)
            self.switch(kind, name)
        submodules = self.update_submodules()
        if submodules:
            data["submodules_changed"] = True
        data["after"] = self.commit()
        changed = before != data["after"] or bool(local) or submodules or data["remote_url_changed"]
        return Result(changed, data, _commits(before, data["after"]))

    def local_changes(self):
        lines = self.run("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all").splitlines()
        return [line[3:] for line in lines]

    def fetch(self, kind, name):
        if kind == "commit" and self.commit(name):
            return
        remote = self.args.remote
        forced = ["--force"] if self.args.force else []
        depth = ["--depth", str(self.args.depth)] if self.args.depth and kind != "commit" else []
        if kind == "branch":
            specs = ["+refs/heads/{0}:refs/remotes/{1}/{0}".format(name, remote)]
        elif kind == "tag":
            specs = ["+refs/tags/{0}:refs/tags/{0}".format(name)]
        else:
            shallow = os.path.exists(os.path.join(self.folder, ".git", "shallow"))
            specs = ["+refs/heads/*:refs/remotes/{}/*".format(remote)]
            depth = ["--unshallow", "--tags"] if shallow else ["--tags"]
        self.run("fetch", *forced + depth + [remote] + specs)

    def switch(self, kind, name):
        if kind == "branch":
            self.run("checkout", "--force", "-B", name, "refs/remotes/{}/{}".format(self.args.remote, name))
        else:
            self.run("checkout", "--force", "--detach", "refs/tags/" + name if kind == "tag" else name)

    def stale_submodules(self):
        """Whether a submodule is missing or at another commit than the working copy wants."""
        if not self.args.recursive or not os.path.exists(os.path.join(self.folder, ".gitmodules")):
            return False
        return any(line[:1] in "-+U" for line in self.run("submodule", "status", "--recursive").splitlines() if line)

    def update_submodules(self):
        if not self.stale_submodules():
            return False
        self.run("submodule", "sync", "--recursive")
        words = ["submodule", "update", "--init", "--recursive"] + (["--force"] if self.args.force else [])
        self.run(*words)
        return True


def _commits(before, after):
    return None if before == after else ("{}\n".format(before), "{}\n".format(after))


def _remedy(text):
    if "dubious ownership" in text:
        return "run the task as the owner of the folder, or set safe.directory"
    if "Host key verification failed" in text:
        return "accept_newhostkey: true, or add the host's key to known_hosts"
    if "Authentication failed" in text or "could not read Username" in text or "Permission denied (publickey" in text:
        return "give the device a key (key_file) or use a URL that needs none"
    if "Could not resolve host" in text:
        return "check the device's network; or bring the sources as an archive"
    return ""
