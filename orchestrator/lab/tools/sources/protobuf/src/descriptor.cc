// Emulated source.
// heavy
#include <string>
