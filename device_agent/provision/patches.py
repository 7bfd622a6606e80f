"""Known mends of onnx-tensorrt's sources, each a no-op where its text is not present.

Sources: onnx/onnx-tensorrt branches 5.0 to 8.2. From 7.2.1 on setup.py is pure Python, with neither of the texts.
"""

import os
import re


def minus_m64(folder):
    """Take the flag -m64, which only x86 compilers know, out of setup.py. Returns whether it was there."""
    path = os.path.join(folder, "setup.py")
    text = _read(path)
    mended = re.sub(r"""(?m)^[ \t]*['"]-m64['"],?[ \t]*\n|,[ \t]*['"]-m64['"](?=\s*[,\]])""", "", text)
    return _write(path, text, mended)


def tensorrtapi(folder):
    """Define TENSORRTAPI away in NvOnnxParser.h, where SWIG would stumble over it. Returns whether that was needed.

    Only where setup.py runs SWIG over the header: later branches have the word too, and need it.
    """
    path = os.path.join(folder, "NvOnnxParser.h")
    text = _read(path)
    swig = "swig" in _read(os.path.join(folder, "setup.py")).lower()
    if not swig or "TENSORRTAPI" not in text or re.search(r"(?m)^\s*#\s*define\s+TENSORRTAPI", text):
        return False
    # Behind the last #include: the compiler has then seen the headers' own definition, which SWIG does not read.
    end = max([match.end() for match in re.finditer(r"(?m)^\s*#\s*include.*\n", text)] or [0])
    return _write(path, text, text[:end] + "#ifndef TENSORRTAPI\n#define TENSORRTAPI\n#endif\n" + text[end:])


PATCHES = {"minus_m64": minus_m64, "tensorrtapi": tensorrtapi}


def _read(path):
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except OSError:
        return ""


def _write(path, before, after):
    if before == after:
        return False
    with open(path, "w", encoding="utf-8", newline="") as stream:
        stream.write(after)
    return True
