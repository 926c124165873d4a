/* A fixture of the command line's tests: a histogram, and an event in each tick. Its position is the number of ticks
 * before it, so a start without a position begins with 1. `WRONG` makes its manifest disagree with its note, `SLOW` its
 * describe never end, `CRASH` its first collect the last, `MISNAMED` a metric one that is refused, and `LOUD` writes a
 * file as soon as it is loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "barograph_plugin.h"

#ifdef WRONG
#define SAID "9.9.9"
#else
#define SAID "0.1.0"
#endif
#define MANIFEST "{\"name\":\"shop\",\"topic\":\"shop\",\"version\":\"" SAID "\",\"needs\":[\"nothing\"]," \
  "\"config\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}}"

#ifdef MISNAMED
#define ORDERS "Shop_orders"
#else
#define ORDERS "shop_orders_total"
#endif

#ifdef LOUD
__attribute__((constructor)) static void loaded(void) {
  FILE *file = fopen(LOUD, "w");
  if (file) fclose(file);
}
#endif

struct instance { const barograph_host *host; uint32_t waits, orders; uint64_t ticks; };

static int32_t describe(void *out, barograph_write write) {
  const barograph_str manifest = BAROGRAPH_TEXT(MANIFEST);
#ifdef SLOW
  for (;;) {}
#endif
  write(out, manifest);
  return BAROGRAPH_OK;
}

static int32_t check_config(const barograph_host *host, barograph_str config) {
  const barograph_str field = BAROGRAPH_TEXT("name"), why = BAROGRAPH_TEXT("a shop is not called so");
  char text[256] = "";
  memcpy(text, config.ptr, config.len < 255 ? config.len : 255);
  if (!strstr(text, "bad")) return BAROGRAPH_OK;
  host->set_error(host->ctx, field, why);
  return BAROGRAPH_E_CONFIG;
}

static int32_t create(const barograph_host *host, barograph_str config, void **self) {
  static const double bounds[] = { 0.1, 1 };
  const barograph_metric waits = {
    sizeof waits, BAROGRAPH_KIND_HISTOGRAM, BAROGRAPH_UNIT_SECONDS, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_LINE, BAROGRAPH_TEXT("shop_wait_seconds"), BAROGRAPH_TEXT("How long customers wait."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Shop"), BAROGRAPH_TEXT("Waiting"), NULL, 0, bounds, 2 };
  const barograph_metric orders = {
    sizeof orders, BAROGRAPH_KIND_COUNTER, BAROGRAPH_UNIT_COUNT, BAROGRAPH_TIER_FAST, 0,
    BAROGRAPH_CHART_LINE, BAROGRAPH_TEXT(ORDERS), BAROGRAPH_TEXT("Orders."),
    BAROGRAPH_TEXT(""), BAROGRAPH_TEXT("Shop"), BAROGRAPH_TEXT("Orders"), NULL, 0, NULL, 0 };
  struct instance *made = (struct instance *)calloc(1, sizeof *made);
  uint32_t id = 0;
  (void)config;
  if (!made || host->define_metric(host->ctx, &waits, &id)) return BAROGRAPH_E_FATAL;
  if (host->define_series(host->ctx, id, NULL, 0, &made->waits)) return BAROGRAPH_E_FATAL;
  if (host->define_metric(host->ctx, &orders, &id)) return BAROGRAPH_E_CONFIG;
  if (host->define_series(host->ctx, id, NULL, 0, &made->orders)) return BAROGRAPH_E_FATAL;
  made->host = host;
  *self = made;
  return BAROGRAPH_OK;
}

static int32_t collect(void *self, const barograph_tick *tick) {
  struct instance *it = (struct instance *)self;
  const barograph_host *host = it->host;
  char position[32];
  const uint64_t counts[] = { 1, 3, 2 };
  const barograph_histogram waits = { it->waits, 0, 2.5, counts, 3 };
  const barograph_sample orders = { it->orders, 0, (double)++it->ticks };
  barograph_event event = {
    sizeof event, BAROGRAPH_LOG_WARN, 0, BAROGRAPH_TEXT("sold-out"), BAROGRAPH_TEXT("{\"item\":\"tea\"}"),
    BAROGRAPH_TEXT("") };
  (void)tick;
#ifdef CRASH
  abort();
#endif
  event.position.ptr = (const uint8_t *)position;
  event.position.len = (size_t)sprintf(position, "%llu", (unsigned long long)it->ticks);
  if (host->emit_event(host->ctx, &event)) return BAROGRAPH_E_UNAVAILABLE;
  if (host->push_histogram(host->ctx, &waits, 1)) return BAROGRAPH_E_UNAVAILABLE;
  return host->push(host->ctx, &orders, 1);
}

static int32_t nothing(void *self) { (void)self; return BAROGRAPH_OK; }
static int32_t reconfigure(void *self, barograph_str config) {
  return (void)self, (void)config, BAROGRAPH_RESTART;
}

BAROGRAPH_NOTE("shop", "shop", "0.1.0")
const barograph_plugin BAROGRAPH_PLUGIN_V1 = {
  BAROGRAPH_MAGIC, sizeof(barograph_plugin), BAROGRAPH_ABI_MAJOR, BAROGRAPH_ABI_MINOR, BAROGRAPH_FEATURE_EVENTS,
  BAROGRAPH_TEXT("shop"), BAROGRAPH_TEXT("shop"), BAROGRAPH_TEXT("0.1.0"), describe, check_config,
  create, nothing, collect, reconfigure, nothing, free, NULL };
