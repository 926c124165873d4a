// Generated from agent/src/protocol.rs by `cargo xtask wire`. Do not edit.

export type Tier = "fast" | "medium" | "slow";

export type Kind = "gauge" | "counter";

export type Unit = "count" | "bytes" | "seconds" | "ratio" | "hertz" | "celsius" | "packets" | "operations" | "info";

export type ChartStyle = "line" | "area" | "stacked" | "none";

export type ChartHint = {
  /** Heading. */
  section: string,
  /** Title of the chart. */
  title: string,
  /** How it is drawn. */
  style: ChartStyle,
  /** Whether the chart also stands on the Overview. */
  overview: boolean,
};

export type Shape = "named" | "columns";

export type Match = {
  /** Metric names; `*` stands for any run of characters. A series matches if any does. At most 64. */
  metrics: Array<string>,
  /** Labels that must have exactly these values. At most 16. */
  labels: { [key in string]: string },
};

export type ClientRequest = {
  /** Comes back in the answer; chosen by the client. */
  id?: number,
  /** `subscribe`, `unsubscribe`, `subscribe-admin`, `unsubscribe-admin` or `ping`. */
  type: string,
  /** `metrics:TOPIC`, `basic-metrics` or `admin`. */
  channel?: string,
  /** How often; fast unless given. */
  tier?: Tier,
  /** How the data is laid out; named unless given. */
  shape?: Shape,
  /** Narrows to some metrics or labels. */
  match?: Match,
};

export type ErrorBody = {
  /** For programs: `not_found`, `bad_request`, `unknown_channel`, … */
  code: string,
  /** For people: what failed and what to do. */
  message: string,
  /** The field of the request that is at fault. */
  field?: string,
};

export type ServerReply = { "type": "ok",
  /** The request's id. */
  id: number | null,
  /** The agent's time, in answers to `ping`. */
  at?: number,
} | { "type": "error",
  /** The request's id, as far as it could be read. */
  id: number | null,
  /** Why. */
  error: ErrorBody,
};

export type HostInfo = {
  /** Host name. */
  hostname: string,
  /** Name and version of the distribution. */
  os: string,
  /** Kernel release. */
  kernel: string,
  /** Machine architecture. */
  arch: string,
  /** Processors that the agent may run on. */
  cpus: number,
  /** Memory of the machine. */
  memoryBytes: number,
};

export type TopicInfo = {
  /** `system`, `database`, … */
  topic: string,
  /** `metrics:TOPIC`. */
  channel: string,
  /** `TOPIC-metrics`. */
  event: string,
};

export type TierIntervals = {
  /** 1,000 unless configured otherwise. */
  fast: number,
  /** 5,000 unless configured otherwise. */
  medium: number,
  /** 30,000 unless configured otherwise. */
  slow: number,
};

export type Limits = {
  /** Bytes of a message to the server. */
  frameBytes: number,
  /** Subscriptions of a connection. */
  channels: number,
  /** Messages to the server. */
  messagesPerMinute: number,
};

export type Identity = {
  /** `admin`, `service` or `user`. */
  role: string,
  /** User id, for users. */
  user: string | null,
};

export type InitialData = {
  /** Always `barograph`. */
  server: string,
  /** Version of the agent. */
  version: string,
  /** Random, made at each start: a change means that the agent was restarted. */
  agentId: string,
  /** When the agent started. */
  startedAt: number,
  /** The machine. */
  host: HostInfo,
  /** What can be subscribed to. */
  topics: Array<TopicInfo>,
  /** Intervals. */
  tiers: TierIntervals,
  /** Bounds that a client must keep. */
  limits: Limits,
  /** How often the server pings. */
  heartbeatMs: number,
  /** Who the server takes the client for. */
  you: Identity,
};

export type SeriesInfo = {
  /** Never reused while the agent runs. */
  id: number,
  /** Its collector. */
  collector: string,
  /** Its labels. */
  labels: Record<string, string>,
  /** Its collector does not deliver at present. */
  stale: boolean,
};

export type MetricDescriptor = {
  /** Prometheus-style name with its base unit. */
  name: string,
  /** Topic of its channel. */
  topic: string,
  /** Plugin that defined it. */
  plugin: string,
  /** Gauge or counter. */
  kind: Kind,
  /** Unit of a gauge's value and of a counter's total. */
  unit: Unit,
  /** One sentence for people. */
  help: string,
  /** How often it is sampled. */
  tier: Tier,
  /** Label names. */
  labels: Array<string>,
  /** OpenTelemetry name. */
  otel: string | null,
  /** How the page shows it. */
  chart: ChartHint,
  /** Its series that are not retired. */
  series: Array<SeriesInfo>,
};

export type CatalogAnswer = {
  /** Version of the agent. */
  version: string,
  /** When the agent started. */
  startedAt: number,
  /** Intervals. */
  tiers: TierIntervals,
  /** What can be subscribed to. */
  topics: Array<TopicInfo>,
  /** In definition order. */
  metrics: Array<MetricDescriptor>,
};

export type TierArrays<T> = {
  /** Metrics of the fast tier. */
  fast?: Array<T>,
  /** Metrics of the medium tier. */
  medium?: Array<T>,
  /** Metrics of the slow tier. */
  slow?: Array<T>,
};

export type ColumnsData = {
  /** Of the subscription. */
  tier: Tier,
  /** Whose samples these are. */
  collector: string,
  /** False: the collector failed and its series are stale. */
  up: boolean,
  /** The first event after subscribing: current values of all tiers. */
  snapshot?: boolean,
  /** Number of the table that the arrays are parallel to. */
  table: number,
  /** The table, the first time that a client sees its number: `[metric, labels]` by the metric's tier. */
  series?: TierArrays<[string, Record<string, string>]>,
  /** Last values; a counter's is its rate per second. Only the tiers that were due are there. */
  values: TierArrays<number | null>,
  /** Least of the window, on the tiers medium and slow. */
  min?: TierArrays<number | null>,
  /** Mean of the window. */
  avg?: TierArrays<number | null>,
  /** Greatest of the window. */
  max?: TierArrays<number | null>,
};

export type NamedSample = {
  /** Labels of the series. */
  labels: Record<string, string>,
  /** A gauge's value; `null` when stale. */
  value?: number | null,
  /** A counter's cumulative total; `null` when stale. */
  total?: number | null,
  /** A counter's rate per second; `null` after a reset or a gap. */
  rate?: number | null,
  /** Least value (or rate) of the window, on the tiers medium and slow. */
  min?: number,
  /** Mean value (or rate) of the window. */
  avg?: number,
  /** Greatest value (or rate) of the window. */
  max?: number,
  /** The series is stale. */
  stale?: boolean,
};

export type NamedData = {
  /** Of the subscription. */
  tier: Tier,
  /** Whose samples these are. */
  collector: string,
  /** False: the collector failed and its series are stale. */
  up: boolean,
  /** The first event after subscribing: current values of all tiers. */
  snapshot?: boolean,
  /** By metric name. */
  metrics: Record<string, NamedSample[]>,
};

export type Skipped = {
  /** Of the subscription. */
  tier: Tier,
  /** Frames that were replaced by newer ones before they could be sent. */
  skipped: number,
};

export type Component = {
  /** The collector's name. */
  name: string,
  /** Its topic. */
  topic: string,
  /** Whether its last collect succeeded. */
  up: boolean,
  /** How long its last collect took, in milliseconds. */
  latencyMs: number | null,
  /** Since when it has been up, or down. */
  since: number,
  /** How often its process was started again. */
  restarts: number,
  /** Why it is down, or what was wrong last. */
  error: string | null,
};

export type BasicMetrics = {
  /** Every component that the agent watches. */
  components: Array<Component>,
};

export type CurrentCollector = {
  /** Whether its last collect succeeded. */
  up: boolean,
  /** When that was. */
  at: number,
  /** By metric name. */
  metrics: Record<string, NamedSample[]>,
};

export type CurrentTopic = {
  /** By collector. */
  collectors: { [key in string]: CurrentCollector },
};

export type CurrentAnswer = {
  /** When it was asked. */
  at: number,
  /** By topic. */
  topics: { [key in string]: CurrentTopic },
};

export type HealthAnswer = {
  /** `ok`, or `degraded` when a component is down. */
  status: string,
  /** Version of the agent. */
  version: string,
  /** How long the agent has been running. */
  uptimeSeconds: number,
  /** Every component. */
  components: Array<Component>,
};

export type Aggregation = "envelope" | "avg" | "min" | "max" | "last" | "rate" | "increase" | "p50" | "p90" | "p95" | "p99";

export type Resolution = "raw" | "minute" | "hour";

export type HistorySeries = {
  /** Name of the metric. */
  metric: string,
  /** Gauge or counter. */
  kind: Kind,
  /** Unit of a gauge's value and of a counter's total. */
  unit: Unit,
  /** Its collector. */
  collector: string,
  /** Its labels. */
  labels: Record<string, string>,
  /** With `agg` envelope: least of each point. */
  min?: Array<number | null>,
  /** With `agg` envelope: mean of each point. */
  avg?: Array<number | null>,
  /** With `agg` envelope: greatest of each point. */
  max?: Array<number | null>,
  /** With every other `agg`: its value for each point. */
  values?: Array<number | null>,
};

export type HistoryAnswer = {
  /** Start of the first point, a whole multiple of `step`. */
  from: number,
  /** End of the last point. */
  to: number,
  /** Width of a point. Point `i` covers `from + i * step` up to, without, `from + (i + 1) * step`. */
  step: number,
  /** What the points were made from. */
  resolution: Resolution,
  /** What the points say. */
  agg: Aggregation,
  /** Every series that matched and has a sample in the range, or was asked for by name. */
  series: Array<HistorySeries>,
  /** True when everything that was asked for is there. */
  complete: boolean,
  /** Why it is not: a limit, or hours that were damaged. */
  stopped?: string,
};

export type AlertState = "pending" | "firing" | "resolved";

export type Severity = "warning" | "critical";

export type Comparison = "above" | "below";

export type AlertInfo = {
  /** The same for a rule and a series over restarts. */
  id: string,
  /** Name of the rule. */
  rule: string,
  /** Where it stands. */
  state: AlertState,
  /** How bad it is; of a resolved one, how bad it was at its worst. */
  severity: Severity,
  /** Name of the metric. */
  metric: string,
  /** Collector of the series. */
  collector: string,
  /** Labels of the series. */
  labels: Record<string, string>,
  /** What the rule's function last gave, in the metric's unit; `null` when there is no value. */
  value: number | null,
  /** The threshold of `severity`, in the metric's unit. */
  threshold: number,
  /** Which side of it is bad. */
  comparison: Comparison,
  /** When the threshold was crossed. */
  since: number,
  /** When it began to fire. */
  firedAt: number | null,
  /** When it was over. */
  resolvedAt: number | null,
  /** For people. */
  message: string,
};

export type RuleInfo = {
  /** Unique among rules. */
  name: string,
  /** Name of the metric. */
  metric: string,
  /** Labels that a series must have. */
  labels: Record<string, string>,
  /** `last`, `avg`, `min`, `max`, `rate` or `p95`. */
  function: string,
  /** What the function looks at; 0 for `last`. */
  windowMs: number,
  /** Which side of a threshold is bad. */
  comparison: Comparison,
  /** Threshold of a warning. */
  warning: number | null,
  /** Threshold of a critical alert. */
  critical: number | null,
  /** Where a firing alert is over; the lesser threshold unless configured. */
  clear: number,
  /** For how long the threshold has to be crossed. */
  forMs: number,
  /** For people: why it does not watch anything yet. `null` when it does. */
  waitingFor: string | null,
  /** It comes with the agent and is not in the configuration. */
  builtin: boolean,
};

export type AlertsAnswer = {
  /** When it was asked. */
  at: number,
  /** Firing first, then pending, then those resolved within the last hour; newest first. */
  alerts: Array<AlertInfo>,
  /** Every rule. */
  rules: Array<RuleInfo>,
};

export type PluginPhase = "starting" | "running" | "waiting" | "open" | "stuck" | "refused";

export type PluginFault = {
  /** When, Unix milliseconds. */
  at: number,
  /** The label `reason` of `barograph_plugin_restarts_total`, or `refused` where it was not started again. */
  reason: string,
  /** For people. */
  message: string,
};

export type PluginReload = {
  /** When, Unix milliseconds. */
  at: number,
  /** `applied` by the running instance, `switched` to a new one, or `refused`: the old one goes on. */
  outcome: string,
  /** Why it was refused; null otherwise. */
  reason: string | null,
};

export type PluginInfo = {
  /** The collector's name. */
  name: string,
  /** The plugin's name. */
  plugin: string,
  /** Topic of its metrics. */
  topic: string,
  /** Version that the plugin said; null before its first start. */
  version: string | null,
  /** `process` or `thread`. */
  isolation: string,
  /** Where it stands. */
  phase: PluginPhase,
  /** Since when, Unix milliseconds. */
  since: number,
  /** When the next start is due, in the phases `waiting` and `open`. */
  nextStartAt: number | null,
  /** Its process; null where it has none. */
  pid: number | null,
  /** Path of its library, as configured or found. */
  library: string,
  /** SHA-256 of the copy that is loaded; empty if there is none. */
  sha256: string,
  /** How often it is asked, in milliseconds. */
  intervalMs: number,
  /** How long a collect may take, in milliseconds. */
  timeoutMs: number,
  /** How long the last collect took, in milliseconds. */
  collectMs: number | null,
  /** Series of the plugin that live. */
  series: number,
  /** Series that may live. */
  seriesMax: number,
  /** How often a series was refused by that bound. */
  seriesDropped: number,
  /** Samples, definitions and events that were refused, those series included. */
  refused: number,
  /** Events that were stored. */
  eventsStored: number,
  /** Resident memory of its process and of what that has started. */
  rssBytes: number | null,
  /** Resident memory above which it is started anew. */
  rssMaxBytes: number | null,
  /** Collects that failed at their deadline. */
  deadlinesMissed: number,
  /** Ticks that went by while it was still busy. */
  ticksMissed: number,
  /** How often it was started again, by reason. */
  restarts: Record<string, number>,
  /** What is wrong now; null if nothing is. */
  error: string | null,
  /** What went wrong lately, the newest first, at most 16. */
  faults: Array<PluginFault>,
  /** How the last change of its library or configuration went; null before the first. */
  reload: PluginReload | null,
};

export type PluginsAnswer = {
  /** When it was asked. */
  at: number,
  /** In the order of the configuration. */
  plugins: Array<PluginInfo>,
};

export type PluginEventInfo = {
  /** The collector's name. */
  collector: string,
  /** Counts up by one for each event of a collector, also over restarts. */
  id: number,
  /** When it happened, Unix milliseconds. */
  at: number,
  /** `error`, `warn`, `info`, `debug` or `trace`. */
  level: string,
  /** What happened. */
  name: string,
  /** The particulars, an object. */
  data: Record<string, unknown>,
};

export type PluginEventsAnswer = {
  /** When it was asked. */
  at: number,
  /** Of all collectors, or the one asked for; the newest first. */
  events: Array<PluginEventInfo>,
};

export type ServerEvent<T> = {
  /** `initialData`, `system-metrics`, `basic-metrics`, `dashboard-alert`, `skipped`, … */
  event: string,
  /** The channel that it belongs to; empty for `initialData`. */
  channel: string,
  /** When it happened. */
  at: number,
  /** Depends on `event`. */
  data: T,
};

export type Catalog = CatalogAnswer;
