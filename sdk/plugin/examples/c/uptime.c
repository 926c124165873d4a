/* How long the machine has run: a whole Barograph plugin in C.
 * cc -std=c99 -shared -fPIC -I sdk/plugin/include -o libbarograph_plugin_uptime.so uptime.c */
#include <stdio.h>
#include <stdlib.h>
#include "barograph_plugin.h"

#define NAME "uptime"
#define VERSION "0.1.0"
#define MANIFEST "{\"name\":\"" NAME "\",\"topic\":\"" NAME "\",\"version\":\"" VERSION "\"," \
  "\"needs\":[],\"config\":{\"type\":\"object\",\"additionalProperties\":false}}"

struct instance { const barograph_host *host; uint32_t series; };

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
  const barograph_metric metric = {
    sizeof metric, BAROGRAPH_KIND_GAUGE, BAROGRAPH_UNIT_SECONDS, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_LINE, BAROGRAPH_TEXT("uptime_seconds"), BAROGRAPH_TEXT("Since the start."),
    BAROGRAPH_TEXT("system.uptime"), BAROGRAPH_TEXT("Host"), BAROGRAPH_TEXT("Uptime"), NULL, 0, NULL, 0 };
  struct instance *made = (struct instance *)malloc(sizeof *made);
  uint32_t id;
  int32_t code = made ? host->define_metric(host->ctx, &metric, &id) : BAROGRAPH_E_FATAL;
  (void)config;
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, id, NULL, 0, &made->series);
  if (code != BAROGRAPH_OK) { free(made); return code; }
  made->host = host;
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  const struct instance *it = (const struct instance *)self;
  barograph_sample sample = { it->series, 0, 0 };
  FILE *file = fopen("/proc/uptime", "r");
  int read = file ? fscanf(file, "%lf", &sample.value) : 0;
  (void)tick;
  if (file) fclose(file);
  return read == 1 ? it->host->push(it->host->ctx, &sample, 1) : BAROGRAPH_E_UNAVAILABLE;
}

static int32_t nothing(void *self) { (void)self; return BAROGRAPH_OK; }
static int32_t reconfigure(void *self, barograph_str config) {
  return (void)self, (void)config, BAROGRAPH_RESTART;
}

BAROGRAPH_NOTE(NAME, NAME, VERSION)
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0,
  BAROGRAPH_TEXT(NAME), BAROGRAPH_TEXT(NAME), BAROGRAPH_TEXT(VERSION), describe, check_config,
  create, nothing, collect, reconfigure, nothing, free, NULL };
