"""pip's command line, by release: an option that came later is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

VALUES = {
    *("-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"),
    *("-t", "--target", "--prefix", "--root", "--global-option", "--install-option", "--timeout", "--retries"),
    *("--no-binary", "--only-binary", "--trusted-host", "--cache-dir", "--format", "-e", "--editable", "--proxy"),
    *("--root-user-action", "--progress-bar", "--log", "-d", "--dest", "-w", "--wheel-dir", "--cert", "--src"),
    *("--python-version", "--platform", "--upgrade-strategy", "--config-settings"),
}
FLAGS = {
    *("-U", "--upgrade", "--user", "--no-cache-dir", "--no-deps", "-I", "--ignore-installed", "--force-reinstall"),
    *("--pre", "-q", "--quiet", "-v", "--verbose", "--disable-pip-version-check", "--no-index", "-y", "--yes"),
    *("--no-build-isolation", "--use-pep517", "--prefer-binary", "--break-system-packages", "--isolated", "--all"),
    *("--no-input", "--no-color", "--outdated", "-o", "--local", "-l", "--no-compile", "--no-warn-script-location"),
    *("--ignore-requires-python", "--no-use-pep517", "--version", "-V", "--help", "-h", "--require-hashes", "-vv"),
}
SINCE = {
    "--no-build-isolation": (10,),
    "--prefer-binary": (18,),
    "--no-warn-script-location": (10,),
    "--use-pep517": (19,),
    "--no-use-pep517": (19,),
    "--no-input": (19,),
    "--no-color": (10,),
    "--root-user-action": (22, 1),
    "--break-system-packages": (23, 0, 1),
    "--config-settings": (22, 1),
}


class Usage(Exception):
    """Refused with pip's usage and this line; exit code 2."""


@dataclass
class Options:
    command: str = ""
    version: bool = False
    words: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    values: dict[str, list[str]] = field(default_factory=dict)

    def on(self, *names: str) -> bool:
        return bool(self.flags & set(names))

    def value(self, *names: str) -> str:
        return next((self.values[name][-1] for name in names if name in self.values), "")


def parse(argv: list[str], pip: tuple[int, ...]) -> Options:
    """Raises: Usage."""
    options = Options()
    args = list(argv)
    while args:
        arg = args.pop(0)
        name, equals, text = arg.partition("=")
        if arg.startswith("-r") and not arg.startswith("--") and len(arg) > 2:
            name, equals, text = "-r", "=", arg[2:]
        if not arg.startswith("-"):
            if options.command:
                options.words.append(arg)
            else:
                options.command = arg
        elif name in SINCE and pip < SINCE[name]:
            raise Usage(f"no such option: {name}")
        elif name in VALUES:
            if not equals and not args:
                raise Usage(f"{name} option requires 1 argument")
            options.values.setdefault(name, []).append(text if equals else args.pop(0))
        elif arg in FLAGS:
            options.flags.add(arg)
        else:
            raise Usage(f"no such option: {name}")
    options.version = options.on("--version", "-V") and not options.command
    return options
