// Emulated source; its templates want more than a gigabyte.
// heavy
#include <cuda_runtime.h>
#include <NvInfer.h>
