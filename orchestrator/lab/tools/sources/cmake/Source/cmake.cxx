// Emulated source.
// program: cmake @VERSION@
#include <string>
