/**
 * The rows of a chart's legend and table. A row stands for one drawn series; what changes with each tick are signals,
 * which change only when their values do, so that a tick writes a few texts and renders no list. The chart's model
 * makes rows and feeds them; components show them.
 */
import { type Signal, signal } from "@preact/signals";
import { type DisplayUnit, formatValue } from "../format/units";
import type { Stats } from "../model/buckets";
import type { Line } from "../model/grid";
import type { Series } from "../model/history";
import { GAP_INTERVALS } from "../model/track";
import type { MetricDescriptor } from "../wire";
import type { Stroke } from "./palette";
import { lastReading, type Reading, readingAt, summarize } from "./window";

export interface ChartRow {
  readonly key: string;
  readonly line: Line;
  readonly labelsKey: string;
  readonly name: string;
  readonly help: string;
  readonly stroke: Stroke;
  /** The current value, or the last one of a range that ended; the crosshair does not change it. */
  readonly reading: Signal<Reading | null>;
  /** What the crosshair points at; null without one. */
  readonly pointed: Signal<Reading | null>;
  /** The value to show: at the crosshair, or else the current one. */
  readonly text: Signal<string>;
  /** Null until a table asks for it. */
  readonly summary: Signal<Stats | null>;
}

/** The drawn stretch in numbers of buckets. */
export interface Shown {
  stepMs: number;
  from: number;
  to: number;
}

export function makeRow(
  line: Line,
  name: string | undefined,
  descriptor: MetricDescriptor | undefined,
  stroke: Stroke,
): ChartRow {
  return {
    key: line.key,
    line,
    labelsKey: line.labelsKey,
    name: name ?? line.metric,
    help: descriptor?.help ?? "",
    stroke,
    reading: signal<Reading | null>(null),
    pointed: signal<Reading | null>(null),
    text: signal(""),
    summary: signal<Stats | null>(null),
  };
}

/** Shows `reading`, unless there is a crosshair, whose buckets are `join` apart at most. */
export function updateRow(
  row: ChartRow,
  reading: Reading | null,
  crosshairAt: number | null,
  shown: Shown & { join: number },
  unit: DisplayUnit,
): void {
  put(row.reading, reading);
  put(row.pointed, crosshairAt === null ? null : readingAtCrosshair(row.line, crosshairAt, shown));
  row.text.value = formatValue((crosshairAt === null ? reading : row.pointed.peek())?.value, unit);
}

export function updateSummary(row: ChartRow, shown: Shown): void {
  const summary = summarize(row.line, shown.from, shown.to);
  const known = row.summary.peek();
  if (summary?.min === known?.min && summary?.avg === known?.avg && summary?.max === known?.max) return;
  row.summary.value = summary;
}

/** What a row shows while there is no crosshair: the live sample, or in a range that ended its last point. */
export function restingReading(
  line: Line,
  series: Series | undefined,
  now: number,
  ended: boolean,
  shown: Shown,
): Reading | null {
  if (!ended && series) return readingAt(series, now, GAP_INTERVALS * series.track.intervalMs);
  const last = lastReading(line, shown.stepMs, shown.from, shown.to);
  return last && !ended ? { value: null, at: last.at } : last;
}

function readingAtCrosshair(line: Line, at: number, shown: Shown & { join: number }): Reading | null {
  const index = Math.floor(at / shown.stepMs);
  return lastReading(line, shown.stepMs, index - shown.join + 1, index + 1);
}

function put(into: Signal<Reading | null>, reading: Reading | null): void {
  const known = into.peek();
  if (reading?.at !== known?.at || reading?.value !== known?.value) into.value = reading;
}
