/**
 * Cuts the drawn window out of the buckets and lays it out as uPlot wants it: one array of times, and of values one a
 * series. `null` ends a line; `undefined` only says that a series is sampled less often than the window has points.
 * Pure.
 */
import type { Stats } from "../model/buckets";
import type { Line } from "../model/grid";
import type { Series } from "../model/history";
import { GAP_INTERVALS } from "../model/track";

export type Cell = number | null | undefined;
export interface WindowData {
  times: number[];
  values: Cell[][];
  /** The envelope, where it was asked for: least and greatest values, series by series. */
  min: Cell[][];
  max: Cell[][];
}

export interface Cut {
  stepMs: number;
  /** Numbers of buckets: from the first up to, without, the last. */
  from: number;
  to: number;
  /** The running bucket is drawn no later than this. */
  now: number;
  /** How often the series are sampled, in their order. */
  intervalsMs: readonly number[];
  envelope: boolean;
}

export function emptyWindow(): WindowData {
  return { times: [], values: [], min: [], max: [] };
}

/** Writes into the arrays of `into`, which saves making and collecting some thousand cells a draw and chart. */
export function cutWindow(lines: readonly Line[], cut: Cut, into: WindowData = emptyWindow()): WindowData {
  const { stepMs, from, to, now } = cut;
  const count = Math.max(0, to - from);
  into.times.length = count;
  for (let point = 0; point < count; point += 1) {
    const start = (from + point) * stepMs;
    const middle = start + stepMs / 2;
    into.times[point] = start + stepMs > now ? Math.max(start, Math.min(middle, now)) : middle;
  }
  const rows = [into.values, into.min, into.max];
  for (const [index, each] of rows.entries()) each.length = index === 0 || cut.envelope ? lines.length : 0;
  lines.forEach((line, index) => {
    const { buckets } = line;
    const join = joinedBuckets(cut.intervalsMs[index] ?? stepMs, stepMs);
    const gaps = cellsOf(into.values, index, count);
    fill(gaps, (point) => buckets.avg(from + point), join);
    if (!cut.envelope) return;
    fill(cellsOf(into.min, index, count), (point) => buckets.min(from + point), join);
    fill(cellsOf(into.max, index, count), (point) => buckets.max(from + point), join);
  });
  return into;
}

/** Two values are joined when no more than this many buckets lie between their starts. */
export function joinedBuckets(intervalMs: number, stepMs: number): number {
  return Math.max(1, Math.floor((GAP_INTERVALS * intervalMs) / stepMs));
}

function cellsOf(rows: Cell[][], index: number, count: number): Cell[] {
  rows[index] ??= [];
  const cells = rows[index] as Cell[];
  cells.length = count;
  return cells;
}

function fill(cells: Cell[], valueAt: (point: number) => number, join: number): void {
  let last = Number.NEGATIVE_INFINITY;
  for (let point = 0; point < cells.length; point += 1) {
    const value = valueAt(point);
    if (Number.isNaN(value)) {
      // Undefined as long as the next value may still be near enough; taken back when it is not.
      cells[point] = point - last < join ? undefined : null;
      continue;
    }
    if (point - last > join) cells.fill(null, Math.max(0, last + 1), point);
    cells[point] = value;
    last = point;
  }
}

/**
 * Turns values into each row's running sum, in place. A series without a sample adds nothing to those above it and is
 * itself a gap; where it only was not sampled at that time, its last value counts, since a stack must not jump between
 * two collectors.
 */
export function stack(values: readonly Cell[][]): void {
  const sums = new Float64Array(values[0]?.length ?? 0);
  for (const cells of values) {
    let held: number | null = null;
    for (let row = 0; row < cells.length; row += 1) {
      const cell = cells[row];
      if (cell !== undefined) held = cell;
      if (held !== null) sums[row] = (sums[row] as number) + held;
      cells[row] = held === null ? null : sums[row];
    }
  }
}

/** Adds up series row by row; a row in which none has a sample stays without one. */
export function sum(values: readonly Cell[][]): Cell[] {
  const rows = values[0]?.length ?? 0;
  return Array.from({ length: rows }, (_, row) => {
    let total: Cell = null;
    for (const cells of values) {
      const cell = cells[row];
      if (cell !== null && cell !== undefined) total = (total ?? 0) + cell;
    }
    return total;
  });
}

/** Rows whose sample has no neighbour to be joined to: only a point makes them visible. */
export function isolatedRows(cells: readonly Cell[]): number[] {
  const isolated: number[] = [];
  let before: Cell = null;
  for (let row = 0; row < cells.length; row += 1) {
    const cell = cells[row];
    if (cell === undefined) continue;
    if (cell !== null && before === null) {
      let next = row + 1;
      while (next < cells.length && cells[next] === undefined) next += 1;
      if ((cells[next] ?? null) === null) isolated.push(row);
    }
    before = cell;
  }
  return isolated;
}

export interface Reading {
  value: number | null;
  at: number;
}

/** The newest sample at or before `atMs`; no value when that row is a gap or too old to be current. */
export function readingAt(series: Series, atMs: number, ageMaxMs: number): Reading | null {
  const { track, column } = series;
  const row = track.rowFrom(atMs + 1) - 1;
  if (row < 0) return null;
  const at = track.timeAt(row);
  const value = track.valueAt(column, row);
  return { value: Number.isNaN(value) || atMs - at > ageMaxMs ? null : value, at };
}

/** The mean of the newest bucket with a value from `to` - 1 down to `from`, and that bucket's start. */
export function lastReading(line: Line, stepMs: number, from: number, to: number): Reading | null {
  const { buckets } = line;
  for (let index = Math.min(to - 1, buckets.newest); index >= Math.max(from, buckets.oldest); index -= 1) {
    const value = buckets.avg(index);
    if (!Number.isNaN(value)) return { value, at: index * stepMs };
  }
  return null;
}

/** Over the buckets from `from` up to `to`. */
export function summarize(line: Line, from: number, to: number): Stats | null {
  const { buckets } = line;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let total = 0;
  let count = 0;
  const end = Math.min(to, buckets.newest + 1);
  for (let index = Math.max(from, buckets.oldest); index < end; index += 1) {
    const avg = buckets.avg(index);
    if (Number.isNaN(avg)) continue;
    min = Math.min(min, buckets.min(index));
    max = Math.max(max, buckets.max(index));
    total += avg;
    count += 1;
  }
  return count === 0 ? null : { min, avg: total / count, max };
}
