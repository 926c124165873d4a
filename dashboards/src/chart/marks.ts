/**
 * What alerts leave on the charts of their metric: a threshold while one is pending or firing, and a line in time where
 * one began to fire and where it was over. Which marks there are is pure; drawing them knows uPlot.
 */
import type uPlot from "uplot";
import type { AlertInfo } from "../wire";

export interface Marks {
  thresholds: { value: number; severity: AlertInfo["severity"] }[];
  moments: { at: number; kind: "fired" | "resolved"; severity: AlertInfo["severity"] }[];
}

export const NO_MARKS: Marks = { thresholds: [], moments: [] };

export interface MarkColors {
  warning: string;
  critical: string;
  resolved: string;
}

/** The marks of `alerts` in a window up to `toMs`; a stack shows sums, to which a threshold says nothing. */
export function marksOf(alerts: readonly AlertInfo[], stacked: boolean, toMs: number): Marks {
  if (alerts.length === 0) return NO_MARKS;
  const thresholds = new Map<string, Marks["thresholds"][number]>();
  const moments = new Map<string, Marks["moments"][number]>();
  for (const alert of alerts) {
    const { severity, threshold: value } = alert;
    const active = alert.state !== "resolved" && alert.since < toMs;
    if (active && !stacked) thresholds.set(`${severity} ${value}`, { value, severity });
    const add = (at: number | null, kind: "fired" | "resolved") => {
      if (at !== null) moments.set(`${kind} ${severity} ${at}`, { at, kind, severity });
    };
    add(alert.firedAt, "fired");
    if (alert.state === "resolved") add(alert.resolvedAt, "resolved");
  }
  return { thresholds: [...thresholds.values()], moments: [...moments.values()] };
}

/** The alerts of a chart, out of all. */
export function alertsOn(alerts: readonly AlertInfo[], metrics: ReadonlyMap<string, unknown>): AlertInfo[] {
  return alerts.filter((alert) => metrics.has(alert.metric));
}

const THRESHOLD_DASH = [6, 4];
const RESOLVED_DASH = [2, 3];
/** Half of the flag's width, and its height, in CSS pixels. */
const FLAG_PX = 4;

export function drawMarks(plot: uPlot, marks: Marks, colors: MarkColors): void {
  if (marks.thresholds.length === 0 && marks.moments.length === 0) return;
  const { ctx, bbox } = plot;
  const ratio = bbox.width / plot.over.clientWidth || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineWidth = 1.5 * ratio;
  for (const { value, severity } of marks.thresholds) {
    const y = plot.valToPos(value, "y", true);
    stroke(ctx, colors[severity], ratio, THRESHOLD_DASH, [bbox.left, y], [bbox.left + bbox.width, y]);
  }
  for (const { at, kind, severity } of marks.moments) {
    const x = plot.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const color = kind === "fired" ? colors[severity] : colors.resolved;
    const dash = kind === "fired" ? [] : RESOLVED_DASH;
    stroke(ctx, color, ratio, dash, [x, bbox.top], [x, bbox.top + bbox.height]);
    flag(ctx, x, bbox.top, FLAG_PX * ratio, kind === "fired");
  }
  ctx.restore();
}

function stroke(
  ctx: CanvasRenderingContext2D,
  color: string,
  ratio: number,
  dash: readonly number[],
  from: readonly [number, number],
  to: readonly [number, number],
): void {
  ctx.strokeStyle = color;
  ctx.fillStyle = color;
  ctx.setLineDash(dash.map((part) => part * ratio));
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}

/** The two kinds differ in shape as well: full where it fired, a ring where it was over. */
function flag(ctx: CanvasRenderingContext2D, x: number, top: number, size: number, full: boolean): void {
  ctx.setLineDash([]);
  ctx.beginPath();
  if (full) {
    ctx.moveTo(x - size, top);
    ctx.lineTo(x + size, top);
    ctx.lineTo(x, top + 1.6 * size);
    ctx.closePath();
    ctx.fill();
    return;
  }
  ctx.arc(x, top + size + 1, size * 0.8, 0, 2 * Math.PI);
  ctx.stroke();
}
