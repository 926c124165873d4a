/* The contract between Barograph and its plugins, version 1.
 *
 * A plugin is a dynamic library that exports one object:
 *
 *     const barograph_plugin BAROGRAPH_PLUGIN_V1 = { BAROGRAPH_MAGIC, ... };
 *
 * and says who it is without being run:
 *
 *     BAROGRAPH_NOTE("name", "topic", "0.1.0")
 *
 * Every pointer is borrowed for the call, the callee copies, and no memory is freed across the
 * boundary. A struct begins with its own size; a field is read only where that size covers it.
 * Calls for one instance never overlap. The SDK's examples/c/uptime.c is a whole plugin.
 *
 * Bounds: 500 metrics an instance; 16 labels a metric; names and label values of 256 bytes; help,
 * messages and errors of 4 KiB; 64 bounds a histogram; 1 MiB for a manifest, 64 KiB for a lookup's
 * answer. What is longer is cut and counted, or refused with BAROGRAPH_E_CONFIG or BAROGRAPH_E_FULL.
 *
 * Generated from src/abi.rs; `BLESS=1 cargo test -p barograph-sdk --test header` writes it anew. */

#ifndef BAROGRAPH_PLUGIN_H
#define BAROGRAPH_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

// `BAROGPV1` read as a little-endian number: the first field of every plugin.
#define BAROGRAPH_MAGIC UINT64_C(0x315650474f524142)
// The section with the words that can be read without running the plugin.
#define BAROGRAPH_NOTE_SECTION ".barograph"

// Units of a metric.
#define BAROGRAPH_UNIT_COUNT 0
#define BAROGRAPH_UNIT_BYTES 1
#define BAROGRAPH_UNIT_SECONDS 2
#define BAROGRAPH_UNIT_RATIO 3
#define BAROGRAPH_UNIT_HERTZ 4
#define BAROGRAPH_UNIT_CELSIUS 5
#define BAROGRAPH_UNIT_PACKETS 6
#define BAROGRAPH_UNIT_OPERATIONS 7
#define BAROGRAPH_UNIT_INFO 8

// Styles of a chart.
#define BAROGRAPH_CHART_LINE 0
#define BAROGRAPH_CHART_AREA 1
#define BAROGRAPH_CHART_STACKED 2
#define BAROGRAPH_CHART_NONE 3

// Levels of a message.
#define BAROGRAPH_LOG_ERROR 0
#define BAROGRAPH_LOG_WARN 1
#define BAROGRAPH_LOG_INFO 2
#define BAROGRAPH_LOG_DEBUG 3
#define BAROGRAPH_LOG_TRACE 4

// A text literal as a borrowed text, for initialisers.
#define BAROGRAPH_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

// The words about the plugin; the section ends with a zero byte.
#define BAROGRAPH_NOTE(name, topic, version) \
  __attribute__((used, section(BAROGRAPH_NOTE_SECTION))) static const char barograph_note[] = \
    "abi=1.0\nname=" name "\ntopic=" topic "\nversion=" version "\n";


// Must be the same on both sides.
#define BAROGRAPH_ABI_MAJOR 1

// May differ: a higher one has more fields at the tail.
#define BAROGRAPH_ABI_MINOR 0

// The call did what it was asked to.
#define BAROGRAPH_OK 0

// A collect that keeps its samples and reports what it could not read.
#define BAROGRAPH_PARTIAL 1

// A `reconfigure` that asks to be created anew.
#define BAROGRAPH_RESTART 2

// The configuration can't be used; `barograph_host.set_error` said why.
#define BAROGRAPH_E_CONFIG -1

// The source does not answer; try again at the next tick.
#define BAROGRAPH_E_UNAVAILABLE -2

// The source did not answer in time.
#define BAROGRAPH_E_TIMEOUT -3

// The plugin panicked; the instance is not usable any more.
#define BAROGRAPH_E_PANIC -4

// The instance can't go on and must be created anew.
#define BAROGRAPH_E_FATAL -5

// The call came after `stop`, or declares or retires by an id that was never given. A sample with such an id is left
// out of its call, see `barograph_host.push`.
#define BAROGRAPH_E_CLOSED -6

// A bound was reached: series, labels, samples or the event queue.
#define BAROGRAPH_E_FULL -7

// Kind of a metric: a value that goes up and down.
#define BAROGRAPH_KIND_GAUGE 0

// Kind of a metric: a total that only grows, until its source restarts.
#define BAROGRAPH_KIND_COUNTER 1

// Kind of a metric: how often values fell into each of its buckets, see `barograph_histogram`. It is kept and shown as
// three counters, `NAME_bucket` with the label `le`, `NAME_sum` and `NAME_count`, as Prometheus has them.
#define BAROGRAPH_KIND_HISTOGRAM 2

// Bit of `barograph_plugin.features`: it emits events.
#define BAROGRAPH_FEATURE_EVENTS 1

// Bit of `barograph_plugin.features`: `barograph_plugin.lookup` is there.
#define BAROGRAPH_FEATURE_LOOKUP 2

// The bits of `barograph_plugin.features` that a host has to know to run the plugin; it may pass over the others.
#define BAROGRAPH_FEATURES_REQUIRED 18446744069414584320ull

// Bits of `barograph_tick.tiers` (as shifts) and values of `barograph_metric.tier`: 1 s, 5 s and 30 s.
#define BAROGRAPH_TIER_FAST 0

// See `BAROGRAPH_TIER_FAST`.
#define BAROGRAPH_TIER_MEDIUM 1

// See `BAROGRAPH_TIER_FAST`.
#define BAROGRAPH_TIER_SLOW 2

// Bit of `barograph_metric.flags`: the metric's chart also stands on the Overview.
#define BAROGRAPH_METRIC_OVERVIEW 1

// Borrowed UTF-8 of `len` bytes, not terminated; `ptr` may be null where `len` is 0.
typedef struct barograph_str {
  // First byte.
  const uint8_t *ptr;
  // Length in bytes.
  size_t len;
} barograph_str;

// Declares a metric: one name, many series.
typedef struct barograph_metric {
  // `sizeof` of the struct that the plugin was built with.
  uint32_t struct_size;
  // `BAROGRAPH_KIND_GAUGE`, `BAROGRAPH_KIND_COUNTER` or `BAROGRAPH_KIND_HISTOGRAM`.
  uint32_t kind;
  // `BAROGRAPH_UNIT_…`.
  uint32_t unit;
  // How often it is sampled: `BAROGRAPH_TIER_FAST`, `BAROGRAPH_TIER_MEDIUM` or `BAROGRAPH_TIER_SLOW`.
  uint32_t tier;
  // `BAROGRAPH_METRIC_…` bits.
  uint32_t flags;
  // `BAROGRAPH_CHART_…`.
  uint32_t chart_style;
  // Prometheus-style name with its base unit, `[a-z][a-z0-9_]*`, at most 256 bytes, 249 for a histogram.
  //
  // What the agent says itself is refused with `BAROGRAPH_E_CONFIG`: names that begin with `barograph_`, and the
  // plugin's topic with `_up` or `_collect_seconds` behind it. With the topic of another collector before
  // that, the metric has no samples.
  struct barograph_str name;
  // One sentence for people.
  struct barograph_str help;
  // The OpenTelemetry name, or empty.
  struct barograph_str otel;
  // Heading under which the page draws it.
  struct barograph_str chart_section;
  // Metrics of one section with the same title share a chart.
  struct barograph_str chart_title;
  // Label names, at most 16, and 15 for a histogram.
  const struct barograph_str *labels;
  // Number of label names.
  size_t label_count;
  // Upper bounds of a histogram's buckets, finite and ascending; the last bucket, without a bound, is not
  // among them. Null for other kinds.
  const double *bounds;
  // Number of bounds, 1 to 64 for a histogram.
  size_t bound_count;
} barograph_metric;

// One value of one series.
typedef struct barograph_sample {
  // Id from `barograph_host.define_series`.
  uint32_t series;
  // Zero; bits are kept for later.
  uint32_t flags;
  // In the metric's unit; a counter's is its cumulative total.
  double value;
} barograph_sample;

// The counts of one series of a histogram.
typedef struct barograph_histogram {
  // Id from `barograph_host.define_series`.
  uint32_t series;
  // Zero; bits are kept for later.
  uint32_t flags;
  // Of all values so far, in the metric's unit.
  double sum;
  // For each bucket how many values fell into it so far: above the bound before its own, up to its own. A
  // value is in one bucket only.
  const uint64_t *counts;
  // One more than the metric has bounds.
  size_t count;
} barograph_histogram;

// Something that happened, between ticks or in one.
typedef struct barograph_event {
  // `sizeof` of the struct that the plugin was built with.
  uint32_t struct_size;
  // How bad it is: `BAROGRAPH_LOG_…`.
  uint32_t level;
  // When it happened, Unix milliseconds; 0 for now.
  int64_t at_ms;
  // What happened, `[a-z][a-z0-9_-]*`, at most 64 bytes.
  struct barograph_str name;
  // The particulars: a JSON object of at most 16 kB, or empty.
  struct barograph_str data;
  // Where its source stands after it, in the plugin's own words, at most 256 bytes; empty leaves the position
  // as it is. The agent keeps it together with the event and hands the last one to the next `create`.
  struct barograph_str position;
} barograph_event;

// What a collect is asked for.
typedef struct barograph_tick {
  // `sizeof` of the struct that the host was built with.
  uint32_t struct_size;
  // Bit `1 << BAROGRAPH_TIER_…` for each tier that is due.
  uint32_t tiers;
  // Counts up by one a tick; a gap is a missed tick.
  uint64_t number;
  // Wall time of the tick, Unix milliseconds.
  int64_t at_ms;
  // When the host gives up, on the clock of `barograph_host.now_mono_ns`.
  uint64_t deadline_ns;
} barograph_tick;

// What the host offers to a plugin. Valid until `destroy` returns.
//
// `define_metric`, `define_series` and `retire_series` are called from `create`, `start` or `collect` only;
// `push`, `push_histogram`, `emit_event`, `log`, `cancelled`, `set_error` and `now_mono_ns` from any thread
// until `stop` returns.
typedef struct barograph_host {
  // `sizeof` of the struct that the host was built with.
  uint32_t struct_size;
  // `BAROGRAPH_ABI_MAJOR` of the host.
  uint16_t abi_major;
  // `BAROGRAPH_ABI_MINOR` of the host.
  uint16_t abi_minor;
  // First argument of every function below.
  void *ctx;
  // Declares a metric and gives its id. Declaring the same name again gives the same id.
  int32_t (*define_metric)(void *ctx, const struct barograph_metric *metric, uint32_t *id);
  // Declares a series by its label values, in the order of the metric's label names.
  int32_t (*define_series)(void *ctx,
                           uint32_t metric,
                           const struct barograph_str *values,
                           size_t count,
                           uint32_t *id);
  // Says that a series will not come again. Its id is never reused.
  int32_t (*retire_series)(void *ctx, uint32_t series);
  // Adds samples to the running collect; they count only if it succeeds.
  //
  // Each is taken or left out for itself, so that a bad one costs none of the others, and the answer is
  // `BAROGRAPH_OK` all the same: a series that was never given or is retired, one of a histogram, a value that is not
  // finite. What is left out is counted, and the operator is told the reason. The whole call is refused with
  // `BAROGRAPH_E_CLOSED` after `stop`, with `BAROGRAPH_E_CONFIG` where the samples are null, and with `BAROGRAPH_E_FULL`
  // where the tick would have more than two samples for each series that the instance may have.
  int32_t (*push)(void *ctx, const struct barograph_sample *samples, size_t count);
  // Writes to the agent's log; `level` is `BAROGRAPH_LOG_…`.
  void (*log)(void *ctx, uint32_t level, struct barograph_str message);
  // 1 when the host has given up on the running call, else 0.
  int32_t (*cancelled)(void *ctx);
  // Why the running call is about to fail; `field` is the dotted path of a configuration key, or empty.
  void (*set_error)(void *ctx, struct barograph_str field, struct barograph_str message);
  // `CLOCK_MONOTONIC` in nanoseconds.
  uint64_t (*now_mono_ns)(void *ctx);
  // Adds histograms to the running collect, as `barograph_host.push` does samples. One of a series that is no
  // histogram's, or with another number of counts than there are buckets, is left out and the answer is
  // `BAROGRAPH_OK`. Where it is `BAROGRAPH_E_FULL`, or `BAROGRAPH_E_CONFIG` for counts that are null, those before
  // it were taken.
  int32_t (*push_histogram)(void *ctx, const struct barograph_histogram *histograms, size_t count);
  // Hands over an event. On `BAROGRAPH_E_FULL` the agent is behind: the plugin keeps the event, stops reading its source
  // and tries again later, so that nothing is lost.
  int32_t (*emit_event)(void *ctx, const struct barograph_event *event);
  // Position of the last event that was stored, or empty: from there `create` reads its source on.
  struct barograph_str position;
} barograph_host;

// Receives what `barograph_plugin.describe` writes, in one or more pieces.
typedef void (*barograph_write)(void *out, struct barograph_str piece);

// What a plugin library exports under `BAROGRAPH_PLUGIN_V1`. Calls for one instance never overlap.
typedef struct barograph_plugin {
  // `BAROGRAPH_MAGIC`.
  uint64_t magic;
  // `sizeof` of the struct that the plugin was built with.
  uint32_t struct_size;
  // Must equal the host's.
  uint16_t abi_major;
  // May differ from the host's.
  uint16_t abi_minor;
  // `BAROGRAPH_FEATURE_…` bits.
  uint64_t features;
  // Name in `config.toml`: `[plugins.NAME]`.
  struct barograph_str name;
  // Topic under which its metrics are streamed.
  struct barograph_str topic;
  // Version of the plugin.
  struct barograph_str version;
  // Writes the manifest as JSON, with the JSON Schema of the configuration under `config`. The host calls it at
  // each start, and hands over no configuration that the schema refuses.
  int32_t (*describe)(void *out, barograph_write write);
  // Checks a configuration (JSON) without side effects.
  int32_t (*check_config)(const struct barograph_host *host, struct barograph_str config);
  // Makes an instance.
  int32_t (*create)(const struct barograph_host *host, struct barograph_str config, void **instance);
  // Called once after `create`.
  int32_t (*start)(void *instance);
  // Samples what is due and pushes it.
  int32_t (*collect)(void *instance, const struct barograph_tick *tick);
  // Takes a new configuration, or asks for a restart.
  int32_t (*reconfigure)(void *instance, struct barograph_str config);
  // Ends all threads of the instance; nothing calls the host after it.
  int32_t (*stop)(void *instance);
  // Frees the instance.
  void (*destroy)(void *instance);
  // Answers a lookup that the operator named in the configuration, with one JSON value; `parameter` is only
  // ever bound, never part of a query's text. `BAROGRAPH_E_CONFIG` for a name that it does not know. A collect waits for
  // it, so it is given up after 500 ms, or half the interval, which `barograph_host.cancelled` says; one that does not
  // return then is ended with its process. Null without `BAROGRAPH_FEATURE_LOOKUP`.
  int32_t (*lookup)(void *instance,
                    struct barograph_str name,
                    struct barograph_str parameter,
                    void *out,
                    barograph_write write);
} barograph_plugin;

#ifdef __cplusplus
extern "C" {
#endif
// The one object that a plugin defines.
extern __attribute__((visibility("default"))) const barograph_plugin BAROGRAPH_PLUGIN_V1;
#ifdef __cplusplus
}
#endif

#endif  /* BAROGRAPH_PLUGIN_H */
