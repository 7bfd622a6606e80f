// Emulated source.
// program: onnx2trt @VERSION@
#include <NvInfer.h>
