/**
 * The rows of a chart's legend and table. A row stands for one drawn series; what changes with each tick are signals,
 * which change only when their values do, so that a tick writes a few texts and renders no list. The chart's model
 * makes rows and feeds them; components show them.
 */
import { type Signal, signal } from "@preact/signals";
import { type DisplayUnit, formatValue } from "../format/units";
import type { Series } from "../model/history";
import { GAP_INTERVALS } from "../model/track";
import type { MetricDescriptor } from "../wire";
import type { Stroke } from "./palette";
import { type Reading, readingAt, type Summary, summarize } from "./window";

export interface ChartRow {
  readonly key: string;
  readonly series: Series;
  readonly labelsKey: string;
  readonly name: string;
  readonly help: string;
  readonly stroke: Stroke;
  /** As last drawn; the crosshair does not change it. */
  readonly reading: Signal<Reading | null>;
  /** The value to show: at the crosshair, or else the current one. */
  readonly text: Signal<string>;
  /** Null until a table asks for it. */
  readonly summary: Signal<Summary | null>;
}

export function makeRow(
  series: Series,
  name: string | undefined,
  descriptor: MetricDescriptor | undefined,
  stroke: Stroke,
): ChartRow {
  return {
    key: `${series.collector} ${series.metric}${series.labelsKey}`,
    series,
    labelsKey: series.labelsKey,
    name: name ?? series.metric,
    help: descriptor?.help ?? "",
    stroke,
    reading: signal<Reading | null>(null),
    text: signal(""),
    summary: signal<Summary | null>(null),
  };
}

/** Brings a row to the state at `now`; `crosshairAt` is the time whose value is shown instead of the current one. */
export function updateRow(row: ChartRow, now: number, crosshairAt: number | null, unit: DisplayUnit): void {
  const reading = currentReading(row.series, now);
  const known = row.reading.peek();
  if (reading?.at !== known?.at || reading?.value !== known?.value) row.reading.value = reading;
  const shown = crosshairAt === null ? reading : currentReading(row.series, crosshairAt);
  row.text.value = formatValue(shown?.value, unit);
}

export function updateSummary(row: ChartRow, fromMs: number): void {
  const summary = summarize(row.series, fromMs);
  const known = row.summary.peek();
  if (summary?.min === known?.min && summary?.avg === known?.avg && summary?.max === known?.max) return;
  row.summary.value = summary;
}

/** The series' sample at `atMs`, as long as it is recent enough to be that moment's value. */
export function currentReading(series: Series, atMs: number): Reading | null {
  return readingAt(series, atMs, GAP_INTERVALS * series.track.intervalMs);
}
