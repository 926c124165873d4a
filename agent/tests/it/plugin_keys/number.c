/* A plugin whose one sample is its key `value`, TIMES so much. It writes a line to ASKED whenever it is asked what it
 * thinks of its keys, of which it takes no other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "barograph_plugin.h"

#ifndef TIMES
#define TIMES 1
#endif

struct instance { const barograph_host *host; uint32_t series; double value; };

/* Finds the number behind "value", and whether there is a key beside it: enough for an object of one or two keys. */
static int read(barograph_str config, double *value, int *others) {
  char text[256] = "", *at;
  memcpy(text, config.ptr, config.len < 255 ? config.len : 255);
  *others = strstr(text, "\"valeu\":") != NULL;
  at = strstr(text, "\"value\":");
  if (!at) return *value = 0, 1;
  return sscanf(at + 8, "%lf", value) == 1;
}

static int32_t describe(void *out, barograph_write write) {
  const barograph_str manifest = BAROGRAPH_TEXT(
    "{\"name\":\"number\",\"topic\":\"number\",\"version\":\"0.1.0\",\"needs\":[],\"config\":{\"type\":\"object\"}}");
  write(out, manifest);
  return BAROGRAPH_OK;
}

static int32_t judge(const barograph_host *host, barograph_str config, double *value) {
  const barograph_str other = BAROGRAPH_TEXT("valeu"), own = BAROGRAPH_TEXT("value");
  const barograph_str unknown = BAROGRAPH_TEXT("is not known"), wrong = BAROGRAPH_TEXT("expected a number");
  int others;
  const int good = read(config, value, &others);
  if (others) return host->set_error(host->ctx, other, unknown), BAROGRAPH_E_CONFIG;
  if (!good) return host->set_error(host->ctx, own, wrong), BAROGRAPH_E_CONFIG;
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
  double value;
  FILE *file = fopen(ASKED, "a");
  if (file) fprintf(file, "asked\n"), fclose(file);
  return judge(host, config, &value);
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  const barograph_metric metric = {
    sizeof metric, BAROGRAPH_KIND_GAUGE, BAROGRAPH_UNIT_COUNT, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_NONE, BAROGRAPH_TEXT("number_value"), BAROGRAPH_TEXT("Its key."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Number"), BAROGRAPH_TEXT("Value"), NULL, 0, NULL, 0 };
  struct instance *made = (struct instance *)calloc(1, sizeof *made);
  uint32_t id;
  int32_t code = made ? judge(host, config, &made->value) : BAROGRAPH_E_FATAL;
  if (code == BAROGRAPH_OK) code = host->define_metric(host->ctx, &metric, &id);
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, id, NULL, 0, &made->series);
  if (code != BAROGRAPH_OK) { free(made); return code; }
  made->host = host;
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  const struct instance *it = (const struct instance *)self;
  const barograph_sample sample = { it->series, 0, TIMES * it->value };
  (void)tick;
  return it->host->push(it->host->ctx, &sample, 1);
}

static int32_t nothing(void *self) { (void)self; return BAROGRAPH_OK; }
static int32_t reconfigure(void *self, barograph_str config) {
  return (void)self, (void)config, BAROGRAPH_RESTART;
}

BAROGRAPH_NOTE("number", "number", "0.1.0")
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0,
  BAROGRAPH_TEXT("number"), BAROGRAPH_TEXT("number"), BAROGRAPH_TEXT("0.1.0"), describe, check_config,
  create, nothing, collect, reconfigure, nothing, free, NULL };
