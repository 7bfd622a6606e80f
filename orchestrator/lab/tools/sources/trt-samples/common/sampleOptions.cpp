// Emulated source.
#include <NvInfer.h>
