/* Says that its table ends before its functions do. */
#include "whole.h"

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, offsetof(barograph_plugin, collect), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0, WORDS, FUNCTIONS };
