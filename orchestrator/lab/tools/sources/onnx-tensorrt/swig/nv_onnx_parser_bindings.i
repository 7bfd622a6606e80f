%module nv_onnx_parser_bindings
%{
#include <cuda_runtime.h>
#include "NvOnnxParser.h"
%}
%include "NvOnnxParser.h"
