/* A table whose functions were never filled in. */
#include "whole.h"

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0, WORDS,
  describe, check_config, create, nothing, NULL, NULL, NULL, NULL, NULL };

/* What it left out. */
int32_t (*const unused_collect)(void *, const barograph_tick *) = collect;
int32_t (*const unused_reconfigure)(void *, barograph_str) = reconfigure;
void (*const unused_destroy)(void *) = destroy;
