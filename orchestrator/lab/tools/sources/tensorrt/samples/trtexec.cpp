// Emulated source.
// program: trtexec
#include <NvInfer.h>
