/* Describes itself in bytes that are no manifest, and in more pieces than anybody asked for. */
#define describe describe_well
#include "whole.h"
#undef describe

static int32_t describe(void *out, barograph_write write) {
  static const uint8_t garbage[] = { '{', '"', 0xff, 0xc3, '(', 0x00, '}' };
  const barograph_str piece = { garbage, sizeof garbage };
  int at;
  (void)describe_well;
  for (at = 0; at < 1000; at++) write(out, piece);
  return BAROGRAPH_OK;
}

const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0, WORDS, FUNCTIONS };
