"""A build whose work is a shell script."""

from ..errors import JobError


def build(spec, job):
    """Run spec["script"]; the result tells what the job was given."""
    job.event(phase="building", fraction=0.0)
    done = job.run(
        ["/bin/sh", "-c", spec["script"]],
        on_line=lambda line: job.event(line=line),
        timeout_s=spec.get("timeout_s"),
        silence_s=spec.get("silence_s"),
    )
    if spec.get("break"):
        raise ZeroDivisionError("a mistake of the engine's")
    if done.rc:
        raise JobError("tool", "the script failed", f"exit {done.rc}", rc=done.rc, signal=done.signal, tail=done.tail)
    return {"tail": done.tail, "duration_s": done.duration_s, "blob": job.root.blob("ab")}
