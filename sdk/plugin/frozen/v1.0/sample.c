/* A plugin that uses all of ABI 1.0: every function of both tables and every kind of metric.
 * tests/frozen.rs builds it with the header beside it and drives it. Neither file is ever changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "barograph_plugin.h"

#define NAME "frozen"
#define TOPIC "tests"
#define VERSION "1.0.0"
#define TEXT_MAX 256

struct instance {
  const barograph_host *host;
  uint32_t depth_metric, depth, ticks, wait, passing;
  unsigned queue_depth;
  uint64_t collects, counts[3];
  char position[TEXT_MAX + 1];
};

static barograph_str text_of(const char *text) {
  barograph_str borrowed;
  borrowed.ptr = (const uint8_t *)text;
  borrowed.len = strlen(text);
  return borrowed;
}

/* Copies a borrowed text, which has no zero at its end, cut where it is too long. */
static void copy(char out[TEXT_MAX + 1], barograph_str text) {
  const size_t length = text.len < TEXT_MAX ? text.len : TEXT_MAX;
  if (length > 0) memcpy(out, text.ptr, length);
  out[length] = '\0';
}

static int is(barograph_str text, const char *word) {
  return text.len == strlen(word) && (text.len == 0 || memcmp(text.ptr, word, text.len) == 0);
}

static int32_t describe(void *out, barograph_write write) {
  write(out, text_of("{\"name\":\"" NAME "\",\"topic\":\"" TOPIC "\",\"version\":\"" VERSION "\","));
  write(out, text_of("\"needs\":[],\"config\":{\"type\":\"object\",\"additionalProperties\":false,"
                     "\"properties\":{\"depth\":{\"type\":\"integer\",\"minimum\":1}}}}"));
  return BAROGRAPH_OK;
}

/* The configuration is {} or {"depth":N}; a depth of 0 can't be used. */
static int32_t read_config(const barograph_host *host, barograph_str config, unsigned *depth) {
  char json[TEXT_MAX + 1];
  copy(json, config);
  *depth = 1;
  if (strcmp(json, "{}") == 0) return BAROGRAPH_OK;
  if (sscanf(json, "{\"depth\":%u}", depth) != 1) {
    host->set_error(host->ctx, text_of(""), text_of("the section is not as expected"));
    return BAROGRAPH_E_CONFIG;
  }
  if (*depth == 0) {
    host->set_error(host->ctx, text_of("depth"), text_of("is below 1"));
    return BAROGRAPH_E_CONFIG;
  }
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
  unsigned depth;
  return read_config(host, config, &depth);
}

static int32_t define(struct instance *it) {
  static const double bounds[2] = { 0.1, 1.0 };
  const barograph_host *host = it->host;
  const barograph_str queue = text_of("queue"), mail = text_of("mail");
  const barograph_metric depth = {
    sizeof depth, BAROGRAPH_KIND_GAUGE, BAROGRAPH_UNIT_COUNT, BAROGRAPH_TIER_FAST,
    BAROGRAPH_METRIC_OVERVIEW, BAROGRAPH_CHART_AREA, BAROGRAPH_TEXT("frozen_depth"),
    BAROGRAPH_TEXT("Waiting in the queue."), BAROGRAPH_TEXT("frozen.depth"),
    BAROGRAPH_TEXT("Frozen"), BAROGRAPH_TEXT("Depth"), &queue, 1, NULL, 0 };
  const barograph_metric ticks = {
    sizeof ticks, BAROGRAPH_KIND_COUNTER, BAROGRAPH_UNIT_OPERATIONS, BAROGRAPH_TIER_MEDIUM, 0,
    BAROGRAPH_CHART_LINE, BAROGRAPH_TEXT("frozen_ticks_total"), BAROGRAPH_TEXT("Collects so far."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Frozen"), BAROGRAPH_TEXT("Ticks"), NULL, 0, NULL, 0 };
  const barograph_metric wait = {
    sizeof wait, BAROGRAPH_KIND_HISTOGRAM, BAROGRAPH_UNIT_SECONDS, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_NONE, BAROGRAPH_TEXT("frozen_wait_seconds"), BAROGRAPH_TEXT("Time in the queue."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Frozen"), BAROGRAPH_TEXT("Wait"), NULL, 0, bounds, 2 };
  uint32_t ticks_metric, wait_metric;
  int32_t code = host->define_metric(host->ctx, &depth, &it->depth_metric);
  if (code == BAROGRAPH_OK) code = host->define_metric(host->ctx, &ticks, &ticks_metric);
  if (code == BAROGRAPH_OK) code = host->define_metric(host->ctx, &wait, &wait_metric);
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, it->depth_metric, &mail, 1, &it->depth);
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, ticks_metric, NULL, 0, &it->ticks);
  if (code == BAROGRAPH_OK) code = host->define_series(host->ctx, wait_metric, NULL, 0, &it->wait);
  return code;
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  struct instance *made;
  unsigned depth;
  int32_t code = read_config(host, config, &depth);
  if (code != BAROGRAPH_OK) return code;
  made = (struct instance *)calloc(1, sizeof *made);
  if (!made) return BAROGRAPH_E_FATAL;
  made->host = host;
  made->queue_depth = depth;
  copy(made->position, host->position);
  code = define(made);
  if (code != BAROGRAPH_OK) { free(made); return code; }
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t start(void *self) {
  const struct instance *it = (const struct instance *)self;
  char message[TEXT_MAX + 32];
  sprintf(message, "reads on from \"%s\"", it->position);
  it->host->log(it->host->ctx, BAROGRAPH_LOG_INFO, text_of(message));
  return BAROGRAPH_OK;
}

/* The same labels are another series each time, as the one before was retired. */
static int32_t push_passing(struct instance *it) {
  const barograph_host *host = it->host;
  const barograph_str passing = text_of("passing");
  barograph_sample sample = { 0, 0, 1.0 };
  int32_t code = BAROGRAPH_OK;
  if (it->collects > 1) code = host->retire_series(host->ctx, it->passing);
  if (code == BAROGRAPH_OK)
    code = host->define_series(host->ctx, it->depth_metric, &passing, 1, &it->passing);
  sample.series = it->passing;
  if (code == BAROGRAPH_OK) code = host->push(host->ctx, &sample, 1);
  return code;
}

/* Says what happened and where the source stands; the position moves only when the host took it. */
static int32_t emit(struct instance *it, const barograph_tick *tick) {
  const barograph_host *host = it->host;
  char data[64], position[32];
  barograph_event event;
  int32_t code;
  sprintf(data, "{\"collects\":%lu}", (unsigned long)it->collects);
  sprintf(position, "line %lu", (unsigned long)it->collects);
  memset(&event, 0, sizeof event);
  event.struct_size = sizeof event;
  event.level = BAROGRAPH_LOG_WARN;
  event.at_ms = tick->at_ms;
  event.name = text_of("line-read");
  event.data = text_of(data);
  event.position = text_of(position);
  code = host->emit_event(host->ctx, &event);
  if (code == BAROGRAPH_OK) strcpy(it->position, position);
  return code;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  struct instance *it = (struct instance *)self;
  const barograph_host *host = it->host;
  barograph_sample samples[2];
  barograph_histogram wait;
  int32_t code;
  if (host->cancelled(host->ctx) || host->now_mono_ns(host->ctx) >= tick->deadline_ns) {
    host->set_error(host->ctx, text_of(""), text_of("no time is left"));
    return BAROGRAPH_E_TIMEOUT;
  }
  it->collects += 1;
  it->counts[it->collects % 3] += 1;
  memset(samples, 0, sizeof samples);
  samples[0].series = it->depth;
  samples[0].value = it->queue_depth;
  samples[1].series = it->ticks;
  samples[1].value = (double)it->collects;
  memset(&wait, 0, sizeof wait);
  wait.series = it->wait;
  wait.sum = 0.5 * (double)it->collects;
  wait.counts = it->counts;
  wait.count = 3;
  code = host->push(host->ctx, samples, tick->tiers & (1u << BAROGRAPH_TIER_MEDIUM) ? 2 : 1);
  if (code == BAROGRAPH_OK) code = host->push_histogram(host->ctx, &wait, 1);
  if (code == BAROGRAPH_OK) code = push_passing(it);
  if (code != BAROGRAPH_OK) return code;
  code = emit(it, tick);
  if (code == BAROGRAPH_E_FULL) {
    host->set_error(host->ctx, text_of(""), text_of("the event waits"));
    return BAROGRAPH_PARTIAL;
  }
  return code;
}

static int32_t reconfigure(void *self, barograph_str config) {
  struct instance *it = (struct instance *)self;
  unsigned depth;
  const int32_t code = read_config(it->host, config, &depth);
  if (code != BAROGRAPH_OK) return code;
  /* So deep a queue would need another instance. */
  if (depth > 1000) return BAROGRAPH_RESTART;
  it->queue_depth = depth;
  return BAROGRAPH_OK;
}

/* There is no thread to end. What `collect` pushes after this is refused by the host. */
static int32_t stop(void *self) { return (void)self, BAROGRAPH_OK; }

static void destroy(void *self) { free(self); }

/* What the host answers outside of a collect, and after `stop`. */
static void call_late(struct instance *it, char *answer) {
  const barograph_host *host = it->host;
  const uint64_t counts[3] = { 0, 0, 0 };
  barograph_sample sample = { 0, 0, 1.0 };
  barograph_histogram wait = { 0, 0, 0.0, NULL, 3 };
  barograph_event event;
  int32_t pushed, counted, emitted;
  sample.series = it->depth;
  wait.series = it->wait;
  wait.counts = counts;
  memset(&event, 0, sizeof event);
  event.struct_size = sizeof event;
  event.name = text_of("late");
  pushed = host->push(host->ctx, &sample, 1);
  counted = host->push_histogram(host->ctx, &wait, 1);
  emitted = host->emit_event(host->ctx, &event);
  sprintf(answer, "[%d,%d,%d]", (int)pushed, (int)counted, (int)emitted);
}

static int32_t lookup(void *self, barograph_str name, barograph_str parameter, void *out,
                      barograph_write write) {
  struct instance *it = (struct instance *)self;
  char answer[64];
  if (is(name, "late")) {
    call_late(it, answer);
    write(out, text_of(answer));
    return BAROGRAPH_OK;
  }
  if (!is(name, "depth")) {
    it->host->set_error(it->host->ctx, text_of(""), text_of("no such question"));
    return BAROGRAPH_E_CONFIG;
  }
  sprintf(answer, "{\"mail\":%s,", is(parameter, "mail") ? "true" : "false");
  write(out, text_of(answer));
  sprintf(answer, "\"depth\":%u}", it->queue_depth);
  write(out, text_of(answer));
  return BAROGRAPH_OK;
}

BAROGRAPH_NOTE(NAME, TOPIC, VERSION)
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR,
  BAROGRAPH_FEATURE_EVENTS | BAROGRAPH_FEATURE_LOOKUP,
  BAROGRAPH_TEXT(NAME), BAROGRAPH_TEXT(TOPIC), BAROGRAPH_TEXT(VERSION), describe, check_config,
  create, start, collect, reconfigure, stop, destroy, lookup };
