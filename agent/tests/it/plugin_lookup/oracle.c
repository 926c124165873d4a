/* A plugin that answers lookups: `ticks` with its collects so far, `slow` only once it is cancelled. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "barograph_plugin.h"

struct instance { const barograph_host *host; uint32_t series; unsigned ticks; };

static int32_t describe(void *out, barograph_write write) {
  const barograph_str manifest = BAROGRAPH_TEXT(
    "{\"name\":\"oracle\",\"topic\":\"oracle\",\"version\":\"0.1.0\",\"needs\":[],\"config\":{\"type\":\"object\"}}");
  write(out, manifest);
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
  return (void)host, (void)config, BAROGRAPH_OK;
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  const barograph_metric metric = {
    sizeof metric, BAROGRAPH_KIND_COUNTER, BAROGRAPH_UNIT_COUNT, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_NONE, BAROGRAPH_TEXT("oracle_ticks_total"), BAROGRAPH_TEXT("Collects."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Oracle"), BAROGRAPH_TEXT("Ticks"), NULL, 0, NULL, 0 };
  struct instance *made = (struct instance *)calloc(1, sizeof *made);
  uint32_t id;
  (void)config;
  if (!made || host->define_metric(host->ctx, &metric, &id)) return BAROGRAPH_E_FATAL;
  if (host->define_series(host->ctx, id, NULL, 0, &made->series)) return BAROGRAPH_E_FATAL;
  made->host = host;
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  struct instance *it = (struct instance *)self;
  const barograph_sample sample = { it->series, 0, (double)++it->ticks };
  (void)tick;
  return it->host->push(it->host->ctx, &sample, 1);
}

static int32_t lookup(void *self, barograph_str name, barograph_str parameter, void *out, barograph_write write) {
  const struct instance *it = (const struct instance *)self;
  const struct timespec moment = { 0, 1000000 };
  char text[32];
  barograph_str answer;
  (void)parameter;
  if (name.len == 4 && memcmp(name.ptr, "slow", 4) == 0) {
    while (!it->host->cancelled(it->host->ctx)) nanosleep(&moment, NULL);
    return BAROGRAPH_E_TIMEOUT;
  }
  if (name.len != 5 || memcmp(name.ptr, "ticks", 5) != 0) return BAROGRAPH_E_CONFIG;
  answer.ptr = (const uint8_t *)text;
  answer.len = (size_t)sprintf(text, "%u", it->ticks);
  write(out, answer);
  return BAROGRAPH_OK;
}

static int32_t nothing(void *self) { (void)self; return BAROGRAPH_OK; }
static int32_t reconfigure(void *self, barograph_str config) {
  return (void)self, (void)config, BAROGRAPH_RESTART;
}

BAROGRAPH_NOTE("oracle", "oracle", "0.1.0")
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, BAROGRAPH_FEATURE_LOOKUP,
  BAROGRAPH_TEXT("oracle"), BAROGRAPH_TEXT("oracle"), BAROGRAPH_TEXT("0.1.0"), describe, check_config,
  create, nothing, collect, reconfigure, nothing, free, lookup };
