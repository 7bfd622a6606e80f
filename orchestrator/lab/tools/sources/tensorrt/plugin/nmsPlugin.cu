// Emulated source.
// heavy
#include <cuda_runtime.h>
#include <NvInfer.h>
