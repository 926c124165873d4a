/* The functions of a collector that does nothing wrong and samples nothing: each file of this folder puts them into a
 * table with one fault. */
#include <stddef.h>
#include "barograph_plugin.h"

#define NAME "wrong"
#define VERSION "0.1.0"
#define MANIFEST "{\"name\":\"" NAME "\",\"topic\":\"" NAME "\",\"version\":\"" VERSION "\"," \
  "\"needs\":[],\"config\":{\"type\":\"object\"}}"

static int32_t describe(void *out, barograph_write write) {
  const barograph_str manifest = BAROGRAPH_TEXT(MANIFEST);
  write(out, manifest);
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
  (void)host, (void)config;
  return BAROGRAPH_OK;
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  static int only;
  (void)host, (void)config;
  *self = &only;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  (void)self, (void)tick;
  return BAROGRAPH_OK;
}

static int32_t nothing(void *self) { return (void)self, BAROGRAPH_OK; }
static void destroy(void *self) { (void)self; }
static int32_t reconfigure(void *self, barograph_str config) {
  return (void)self, (void)config, BAROGRAPH_RESTART;
}

BAROGRAPH_NOTE(NAME, NAME, VERSION)

#define FUNCTIONS describe, check_config, create, nothing, collect, reconfigure, nothing, destroy, NULL
#define WORDS BAROGRAPH_TEXT(NAME), BAROGRAPH_TEXT(NAME), BAROGRAPH_TEXT(VERSION)
