/** Plugins in words. Pure. */
import { ABSENT, formatClock, formatCount, formatSeconds, formatValue } from "../format/units";
import type { PluginFault, PluginInfo } from "../wire";
import { durationText } from "./alert-text";

const BYTES = { unit: "bytes", perSecond: false, key: "bytes" } as const;

export type Tone = "good" | "warn" | "bad" | "soft";

/** How it does, as a color tells it. */
export function toneOf(plugin: Pick<PluginInfo, "phase" | "error">): Tone {
  if (plugin.phase === "running") return plugin.error === null ? "good" : "warn";
  return plugin.phase === "starting" ? "soft" : "bad";
}

const PHASES: Record<PluginInfo["phase"], string> = {
  starting: "starting",
  running: "running",
  waiting: "down",
  open: "keeps failing",
  stuck: "stuck",
  refused: "refused",
};

/** "running", "down, next start in 3 s". */
export function phaseText(plugin: Pick<PluginInfo, "phase" | "nextStartAt">, now: number): string {
  const phase = PHASES[plugin.phase] ?? plugin.phase;
  if (plugin.nextStartAt === null) return phase;
  const left = plugin.nextStartAt - now;
  return left <= 0 ? `${phase}, next start now` : `${phase}, next start in ${durationText(left + 999)}`;
}

/** "system 0.1.0", or of an instance "main of redis 0.1.0" without its own name. */
export function versionText(plugin: Pick<PluginInfo, "name" | "plugin" | "version">): string {
  const of = plugin.name === plugin.plugin ? "" : `of ${plugin.plugin} `;
  return `${of}${plugin.version ?? "version not known"}`;
}

export function processText(plugin: Pick<PluginInfo, "isolation" | "pid">): string {
  return plugin.pid === null ? plugin.isolation : `${plugin.isolation} ${plugin.pid}`;
}

export function memoryText(plugin: Pick<PluginInfo, "rssBytes" | "rssMaxBytes">): string {
  return ofLimit(formatValue(plugin.rssBytes || null, BYTES), plugin.rssMaxBytes, (max) =>
    formatValue(max, BYTES),
  );
}

export function collectText(plugin: Pick<PluginInfo, "collectMs" | "timeoutMs">): string {
  const took = plugin.collectMs === null ? ABSENT : formatSeconds(plugin.collectMs / 1_000);
  return ofLimit(took, plugin.timeoutMs, (max) => formatSeconds(max / 1_000));
}

export function seriesText(plugin: Pick<PluginInfo, "series" | "seriesMax">): string {
  return ofLimit(formatCount(plugin.series), plugin.seriesMax, formatCount);
}

function ofLimit(value: string, max: number | null, write: (max: number) => string): string {
  return max === null || max === 0 ? value : `${value} of ${write(max)}`;
}

/** "3: killed 2, deadline 1". */
export function restartsText(restarts: PluginInfo["restarts"]): string {
  const reasons = Object.entries(restarts).filter(([, count]) => count > 0);
  const sum = reasons.reduce((all, [, count]) => all + count, 0);
  if (sum === 0) return "0";
  const each = reasons.sort(([, a], [, b]) => b - a).map(([reason, count]) => `${reason} ${count}`);
  return `${sum}: ${each.join(", ")}`;
}

/** "16:40:01 killed: was ended by signal 9". */
export function faultText(fault: PluginFault): string {
  return `${formatClock(fault.at)} ${fault.reason}: ${fault.message}`;
}

/** "switched 16:40:01". */
export function reloadText(plugin: Pick<PluginInfo, "reload">): string {
  return plugin.reload === null ? ABSENT : `${plugin.reload.outcome} ${formatClock(plugin.reload.at)}`;
}

/** What is wrong now, or since when nothing has been: a fault may be later than the start of the phase. */
export function stateText(plugin: Pick<PluginInfo, "error" | "since" | "faults">): string {
  const since = Math.max(plugin.since, plugin.faults[0]?.at ?? 0);
  return plugin.error ?? `Nothing has been wrong since ${formatClock(since)}.`;
}

/** That a change was refused, unless what is wrong now says so itself. */
export function refusalText(plugin: Pick<PluginInfo, "reload" | "error">): string | null {
  const { reload, error } = plugin;
  if (reload?.outcome !== "refused") return null;
  const reason = reload.reason ?? "";
  return error?.includes(reason) ? null : `The change was refused, what ran before goes on: ${reason}`;
}

/** What it left out or gave up since the agent's start; empty when there is nothing. */
export function lossesText(plugin: PluginInfo): string {
  const losses: [number, string][] = [
    [plugin.deadlinesMissed, "deadlines missed"],
    [plugin.ticksMissed, "ticks missed"],
    [plugin.seriesDropped, "series above the limit"],
    [plugin.refused, "refused"],
  ];
  const some = losses.filter(([count]) => count > 0);
  return some.map(([count, what]) => `${formatCount(count)} ${what}`).join(", ");
}
