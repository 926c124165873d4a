/* Built for an ABI that comes after this one. */
#include "whole.h"

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR + 1, 0, 0, WORDS, FUNCTIONS };
