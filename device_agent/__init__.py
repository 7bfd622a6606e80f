"""The agent that Fleet runs on a device: standard library only, Python 3.6 and newer, quick to start.

For those who write actions or engine code, the small modules that everything else stands on:

    errors      ActionError, JobError, Cancelled
    arguments   what an action accepts, checked before anything is touched
    results     Result(changed, data, diff): what an action gives back
    files       atomic writes, digests, JSON files; device paths under FLEET_AGENT_PREFIX
    process     run a device's tool with a bounded time, in the C locale, without our stdin
    root        Root: every path under fleet_root
    jobs/work   Job: what `build(spec, job)`, `run(spec, job)`, `measure(spec, job)` are given
"""

PROTOCOL = 1
