/* Exports the symbol of a plugin, but it is something else. */
#include "whole.h"

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC + 1, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0, WORDS, FUNCTIONS };
