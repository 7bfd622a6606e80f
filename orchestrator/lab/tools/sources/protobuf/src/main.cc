// Emulated source.
// program: protoc @VERSION@
#include <string>
