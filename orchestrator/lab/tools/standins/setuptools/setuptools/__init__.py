"""setuptools of a virtual device: `setup.py build` and `install`, with SWIG and compilers that really are called."""

import os
import subprocess
import sys

__version__ = "@VERSION@"


class Extension(object):
    def __init__(self, name, sources, **options):
        self.name, self.sources, self.options = name, list(sources), options


def find_packages(where=".", exclude=(), include=("*",)):
    found = []
    for folder, names, files in os.walk(where):
        names[:] = [name for name in names if "." not in name]
        if "__init__.py" in files and folder != where:
            found.append(os.path.relpath(folder, where).replace(os.sep, "."))
    return sorted(name for name in found if name not in exclude)


def setup(name="UNKNOWN", version="0.0.0", packages=(), ext_modules=(), **ignored):
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if "--version" in sys.argv[1:]:
        print(version)
        return
    if not words:
        raise SystemExit("usage: setup.py [global_opts] cmd1 [cmd1_opts] [cmd2 [cmd2_opts] ...]\n\nerror: no commands supplied")
    for word in words:
        if word not in ("build", "build_ext", "build_py", "install", "bdist_wheel", "develop", "clean"):
            raise SystemExit("error: invalid command '{}'".format(word))
    print("running " + words[0])
    for extension in ext_modules:
        print("building '{}' extension".format(extension.name))
        _build(extension)
    if "install" in words or "develop" in words:
        _install(name, version, packages)


def _build(extension):
    options = extension.options
    made = []
    for source in extension.sources:
        if source.endswith(".i"):
            wrapped = source[:-2] + "_wrap.cpp"
            print("swigging {} to {}".format(source, wrapped))
            _run(["swig", "-python"] + list(options.get("swig_opts", [])) + ["-o", wrapped, source])
            source = wrapped
        target = os.path.join("build", "temp", source + ".o")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        argv = [_compiler(), "-pthread", "-DNDEBUG", "-g", "-O2"]
        argv += ["-I" + folder for folder in options.get("include_dirs", [])]
        argv += ["-c", source, "-o", target] + list(options.get("extra_compile_args", []))
        print(" ".join(argv))
        _run(argv)
        made.append(target)
    target = os.path.join("build", "lib", extension.name.replace(".", os.sep) + ".so")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    argv = [_compiler().replace("gcc", "g++"), "-shared"] + made
    argv += ["-l" + name for name in options.get("libraries", [])] + ["-o", target]
    print(" ".join(argv))
    _run(argv)


def _compiler():
    return os.uname()[4] + "-linux-gnu-gcc"


def _run(argv):
    sys.stdout.flush()
    try:
        code = subprocess.call(argv)
    except OSError as problem:
        print("unable to execute '{}': {}".format(argv[0], problem.strerror))
        code = 1
    if code:
        raise SystemExit("error: command '{}' failed with exit status {}".format(argv[0], code))


def _install(name, version, packages):
    sys.stdout.flush()
    # The lab's own Python says how it wants to be started.
    argv = ["sh", "/.lab/python", "-S", "-E", "-s", "/.lab/tools/setup_install.py", name, version]
    argv += ["--user"] if "--user" in sys.argv else []
    code = subprocess.call(argv + list(packages))
    if code:
        raise SystemExit(code)
    print("Finished processing dependencies for {}=={}".format(name, version))
