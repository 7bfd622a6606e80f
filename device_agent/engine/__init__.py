"""Engines on the device: build, run and measure them with the device's own trtexec.

build       `build(spec, job)`: an ONNX blob becomes engines/<key>/model.engine, with a ladder of smaller workspaces
run         `run(spec, job)`: input blobs through an engine, outputs as raw files
measure     `measure(spec, job)`: latencies per query

spec        the parts of a spec that become paths
graph       what an ONNX file says of its outputs
flags       the one table of trtexec flags and of the choices between them
tool        one trtexec binary: where it is, its version, what flags it has
texts       what trtexec and the kernel print when something goes wrong
memory      the workspace to start with and the ladder below it
progress    how far a build is
landing     how a finished engine gets to its place
bindings    names, types and shapes of an engine's inputs and outputs
tensors     raw tensor files: sizes, casts, counts of NaN and Inf, trtexec's JSON of outputs
times       trtexec's exported times and its performance summary
"""
