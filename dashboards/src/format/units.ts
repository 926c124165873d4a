/**
 * Numbers as people read them. Three significant digits, binary multiples for bytes, decimal ones for everything
 * else; a counter is shown as its rate. Pure, and the only place where a unit becomes text.
 */
import type { MetricDescriptor } from "../wire";

export type Unit = MetricDescriptor["unit"];

export interface DisplayUnit {
  unit: Unit;
  perSecond: boolean;
  /** Names the unit, for example in a chart's title; equal keys share an axis. */
  key: string;
}

const BYTE_STEPS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;
const DECIMAL_STEPS = ["", "k", "M", "G", "T", "P", "E"] as const;
/** Gauges of seconds beyond this are points in time: no machine measures a duration of 31 years. */
const EPOCH_SECONDS_MIN = 1e9;
/** No value, in legends and tables. */
export const ABSENT = "–";

const KEYS: Record<Unit, string> = {
  count: "count",
  bytes: "bytes",
  seconds: "seconds",
  ratio: "%",
  hertz: "Hz",
  celsius: "°C",
  packets: "packets",
  operations: "ops",
  info: "info",
};

/** How a metric's values are shown; seconds counted per second are a share of time. */
export function displayUnit(metric: Pick<MetricDescriptor, "kind" | "unit">): DisplayUnit {
  const counter = metric.kind === "counter";
  if (counter && metric.unit === "seconds") return { unit: "ratio", perSecond: false, key: KEYS.ratio };
  const key = KEYS[metric.unit] ?? metric.unit;
  return { unit: metric.unit, perSecond: counter, key: counter ? `${key}/s` : key };
}

export function formatValue(value: number | null | undefined, unit: DisplayUnit): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return ABSENT;
  switch (unit.unit) {
    case "bytes":
      return stepped(value, 1024, BYTE_STEPS, unit.perSecond ? "/s" : "");
    case "ratio":
      return `${significant(value * 100)} %`;
    case "seconds":
      return formatSeconds(value);
    case "hertz":
      return stepped(value, 1000, DECIMAL_STEPS, "Hz");
    case "celsius":
      return `${value.toFixed(1)} °C`;
    case "packets":
      return stepped(value, 1000, DECIMAL_STEPS, unit.perSecond ? "packets/s" : "packets");
    case "operations":
      return stepped(value, 1000, DECIMAL_STEPS, unit.perSecond ? "ops/s" : "ops");
    default:
      return unit.perSecond ? stepped(value, 1000, DECIMAL_STEPS, "/s") : formatCount(value);
  }
}

/** Durations read like "12 ms", "3.4 s", "2 h 5 m"; a value that can only be a date is shown as one. */
export function formatSeconds(seconds: number): string {
  const magnitude = Math.abs(seconds);
  if (magnitude >= EPOCH_SECONDS_MIN && magnitude < 1e11) return formatDate(seconds * 1000);
  if (magnitude === 0) return "0 s";
  if (magnitude < 1e-3) return `${significant(seconds * 1e6)} µs`;
  if (magnitude < 1) return `${significant(seconds * 1e3)} ms`;
  if (magnitude < 120) return `${significant(seconds)} s`;
  const sign = seconds < 0 ? "-" : "";
  const minutes = Math.floor(magnitude / 60);
  if (minutes < 60) return `${sign}${minutes} m ${Math.floor(magnitude % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${sign}${hours} h ${minutes % 60} m`;
  return `${sign}${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An axis label: as short as `formatValue` can be for a round number. */
export function formatTick(value: number, unit: DisplayUnit): string {
  if (unit.unit === "celsius") return `${Number(value.toPrecision(3))} °C`;
  if (value === 0) return unit.unit === "ratio" ? "0 %" : "0";
  const plain = unit.unit === "packets" || unit.unit === "operations" || unit.unit === "count";
  const text = plain
    ? stepped(value, 1000, DECIMAL_STEPS, unit.perSecond ? "/s" : "")
    : formatValue(value, unit);
  return text.replace(/(\.\d*?)0+(?=\s|$)/, "$1").replace(/\.(?=\s|$)/, "");
}

export function formatCount(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7)
    return String(value).replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return stepped(value, 1000, DECIMAL_STEPS, "");
}

/** Local date and time to the second, in the order that sorts. */
export function formatDate(atMs: number): string {
  const date = new Date(atMs);
  if (Number.isNaN(date.getTime())) return ABSENT;
  const pad = (part: number) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${formatClock(atMs)}`;
}

/** Local time to the second. */
export function formatClock(atMs: number): string {
  const date = new Date(atMs);
  const pad = (part: number) => String(part).padStart(2, "0");
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function stepped(value: number, base: number, steps: readonly string[], suffix: string): string {
  let magnitude = Math.abs(value);
  let step = 0;
  // 999.95 would print as "1000", so the next step begins a little below the base.
  while (magnitude >= base - base * 5e-5 && step < steps.length - 1) {
    magnitude /= base;
    step += 1;
  }
  const scaled = (value < 0 ? -1 : 1) * magnitude;
  const whole = base === 1024 && step === 0 ? String(Math.round(scaled)) : significant(scaled);
  const name = `${steps[step]}${suffix}`;
  return name === "" ? whole : `${whole} ${name}`;
}

/** Three significant digits without an exponent; tiny values keep two decimals. */
function significant(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 99.95) return value.toFixed(0);
  if (magnitude >= 9.995) return value.toFixed(1);
  if (value === 0) return "0";
  return value.toFixed(2);
}
