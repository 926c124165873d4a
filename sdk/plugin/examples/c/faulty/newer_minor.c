/* Built for a later minor version: one field more at the tail and an optional feature that nobody knows yet. It is no
 * fault: such a plugin has to run. */
#define BAROGRAPH_PLUGIN_V1 declared_by_the_header
#include "whole.h"
#undef BAROGRAPH_PLUGIN_V1

struct later { barograph_plugin known; void *added; };

extern __attribute__((visibility("default"))) const struct later BAROGRAPH_PLUGIN_V1;
const struct later BAROGRAPH_PLUGIN_V1 = {
  { BAROGRAPH_MAGIC, sizeof(struct later), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR + 1, UINT64_C(1) << 31, WORDS,
    FUNCTIONS }, NULL };
