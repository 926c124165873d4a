/* A plugin that leaves it to its schema which keys there are: its one sample is the number of instances that this
 * process has made. `SCHEMA` is the schema; with `JUDGES` it refuses a `depth` in words of its own, with `PROMPT` it
 * takes any new configuration. */
#include <stdlib.h>
#include <string.h>
#include "barograph_plugin.h"

#define MANIFEST "{\"name\":\"queue\",\"topic\":\"queue\",\"version\":\"0.1.0\",\"needs\":[],\"config\":" SCHEMA "}"

struct instance { const barograph_host *host; uint32_t series; };

static double created;

static int32_t describe(void *out, barograph_write write) {
  const barograph_str manifest = BAROGRAPH_TEXT(MANIFEST);
  write(out, manifest);
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
#ifdef JUDGES
  static const barograph_str field = BAROGRAPH_TEXT("depth"), why = BAROGRAPH_TEXT("expected a depth such as \"5m\"");
  char text[256] = "";
  memcpy(text, config.ptr, config.len < 255 ? config.len : 255);
  if (strstr(text, "\"depth\"")) {
    host->set_error(host->ctx, field, why);
    return BAROGRAPH_E_CONFIG;
  }
#endif
  (void)host, (void)config;
  return BAROGRAPH_OK;
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  const barograph_metric metric = {
    sizeof metric, BAROGRAPH_KIND_GAUGE, BAROGRAPH_UNIT_COUNT, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_NONE, BAROGRAPH_TEXT("queue_created"), BAROGRAPH_TEXT("Instances so far."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Queue"), BAROGRAPH_TEXT("Created"), NULL, 0, NULL, 0 };
  struct instance *made = (struct instance *)malloc(sizeof *made);
  uint32_t id;
  int32_t code = made ? host->define_metric(host->ctx, &metric, &id) : BAROGRAPH_E_FATAL;
  (void)config;
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, id, NULL, 0, &made->series);
  if (code != BAROGRAPH_OK) { free(made); return code; }
  created++;
  made->host = host;
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  const struct instance *it = (const struct instance *)self;
  const barograph_sample sample = { it->series, 0, created };
  (void)tick;
  return it->host->push(it->host->ctx, &sample, 1);
}

static int32_t nothing(void *self) { (void)self; return BAROGRAPH_OK; }
static int32_t reconfigure(void *self, barograph_str config) {
  (void)self, (void)config;
#ifdef PROMPT
  return BAROGRAPH_OK;
#else
  return BAROGRAPH_RESTART;
#endif
}

BAROGRAPH_NOTE("queue", "queue", "0.1.0")
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0,
  BAROGRAPH_TEXT("queue"), BAROGRAPH_TEXT("queue"), BAROGRAPH_TEXT("0.1.0"), describe, check_config,
  create, nothing, collect, reconfigure, nothing, free, NULL };
