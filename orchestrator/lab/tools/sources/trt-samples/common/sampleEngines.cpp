// Emulated source.
// heavy
#include <NvInfer.h>
