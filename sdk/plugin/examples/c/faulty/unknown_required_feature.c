/* Needs something of its host that no host has yet. */
#include "whole.h"

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, UINT64_C(1) << 63, WORDS,
  FUNCTIONS };
