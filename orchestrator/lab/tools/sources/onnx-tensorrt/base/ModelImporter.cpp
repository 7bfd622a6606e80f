// Emulated source.
#include <cuda_runtime.h>
#include <NvInfer.h>
