/* Never says what it thinks of its configuration. */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>
#define check_config check_config_well
#include "whole.h"
#undef check_config

static int32_t check_config(const barograph_host *host, barograph_str config) {
  for (;;) pause();
  return check_config_well(host, config);
}

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0, WORDS, FUNCTIONS };
