/* A plugin that says which build of it runs: its one sample is the number that it was compiled with. A build may have
 * another NAME and TOPIC, do something BEFORE_CREATE, and end its collects with another RESULT. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "barograph_plugin.h"

#ifndef NAME
#define NAME "probe"
#endif
#ifndef TOPIC
#define TOPIC NAME
#endif
#ifndef BEFORE_CREATE
#define BEFORE_CREATE (void)0
#endif
#ifndef RESULT
#define RESULT BAROGRAPH_OK
#endif

#ifdef LEFT
/* Leaves a process of another session behind and writes its id. */
static void leave(void) {
  const pid_t left = fork();
  FILE *file;
  if (left == 0) {
    setsid();
    sleep(60);
    _exit(0);
  }
  file = fopen(LEFT, "a");
  if (file) fprintf(file, "%d\n", (int)left), fclose(file);
}
#endif

struct instance { const barograph_host *host; uint32_t series; };

static int32_t describe(void *out, barograph_write write) {
  const barograph_str manifest = BAROGRAPH_TEXT(
    "{\"name\":\"" NAME "\",\"topic\":\"" TOPIC "\",\"version\":\"0.1.0\",\"needs\":[],\"config\":{\"type\":\"object\"}}");
  write(out, manifest);
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
  (void)host, (void)config;
#ifdef LEFT
  leave();
#endif
  return BAROGRAPH_OK;
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  const barograph_metric metric = {
    sizeof metric, BAROGRAPH_KIND_GAUGE, BAROGRAPH_UNIT_COUNT, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_NONE, BAROGRAPH_TEXT("probe_build"), BAROGRAPH_TEXT("Number of the build."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Probe"), BAROGRAPH_TEXT("Build"), NULL, 0, NULL, 0 };
  struct instance *made = (struct instance *)malloc(sizeof *made);
  uint32_t id;
  int32_t code;
  BEFORE_CREATE;
  code = made ? host->define_metric(host->ctx, &metric, &id) : BAROGRAPH_E_FATAL;
  (void)config;
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, id, NULL, 0, &made->series);
  if (code != BAROGRAPH_OK) { free(made); return code; }
  made->host = host;
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  const struct instance *it = (const struct instance *)self;
  const barograph_sample sample = { it->series, 0, BUILD };
  int32_t code = it->host->push(it->host->ctx, &sample, 1);
  (void)tick;
  return code == BAROGRAPH_OK ? RESULT : code;
}

static int32_t nothing(void *self) { (void)self; return BAROGRAPH_OK; }
static int32_t reconfigure(void *self, barograph_str config) {
  return (void)self, (void)config, BAROGRAPH_OK;
}

#ifdef UNASKED
__attribute__((used, section(BAROGRAPH_NOTE_SECTION))) static const char note[] =
  "abi=1.0\nname=probe\ntopic=probe\nversion=0.1.0\ndefault=on\n";
#else
BAROGRAPH_NOTE(NAME, TOPIC, "0.1.0")
#endif
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, 0,
  BAROGRAPH_TEXT(NAME), BAROGRAPH_TEXT(TOPIC), BAROGRAPH_TEXT("0.1.0"), describe, check_config,
  create, nothing, collect, reconfigure, nothing, free, NULL };
