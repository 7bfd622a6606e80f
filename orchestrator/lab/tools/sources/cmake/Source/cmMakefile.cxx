// Emulated source.
#include <string>
