// Emulated source of trtexec.
// program: trtexec
#include <cuda_runtime.h>
#include <NvInfer.h>
