/** Alerts and rules in words. Pure. */
import { formatSeconds } from "../format/units";
import type { AlertInfo, RuleInfo } from "../wire";

/** What it is about: the metric with its labels, and the collector. */
export function alertSubject(alert: Pick<AlertInfo, "metric" | "labels" | "collector">): string {
  const labels = Object.entries(alert.labels).map(([name, value]) => `${name} ${value}`);
  return [alert.metric, ...labels, `by ${alert.collector}`].join(" · ");
}

/** "avg over 5 m of system_cpu_busy_ratio above". */
export function ruleText(
  rule: Pick<RuleInfo, "metric" | "labels" | "function" | "windowMs" | "comparison">,
): string {
  const labels = Object.entries(rule.labels).map(([name, value]) => `${name} ${value}`);
  const subject = [rule.metric, ...labels].join(" · ");
  const of = rule.function === "last" ? "" : `${rule.function} over ${durationText(rule.windowMs)} of `;
  return `${of}${subject} ${rule.comparison}`;
}

/** Whole seconds, minutes or hours: "42 s", "5 m", "2 h 5 m". */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const text = seconds < 120 ? `1 m ${seconds - 60} s` : formatSeconds(seconds);
  return text.replace(/ 0 [smh]$/, "");
}
