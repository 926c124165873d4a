/**
 * Cuts the drawn window out of the rings and lays it out as uPlot wants it: one array of times, one of values a
 * series. `null` ends a line, `undefined` only says that another series was sampled at that time. Pure.
 */
import type { Series } from "../model/history";
import type { Track } from "../model/track";

export type Cell = number | null | undefined;
export interface WindowData {
  times: number[];
  values: Cell[][];
}

/** Writes into the arrays of `into`, which saves making and collecting some thousand cells a second and chart. */
export function cutWindow(
  series: readonly Series[],
  fromMs: number,
  toMs: number,
  into: WindowData = { times: [], values: [] },
): WindowData {
  const tracks = [...new Set(series.map((each) => each.track))];
  const only = tracks[0];
  if (!only) return { times: [], values: [] };
  return tracks.length === 1
    ? cutOne(only, series, rowRange(only, fromMs, toMs), into)
    : cutSeveral(tracks, series, fromMs, toMs);
}

/** One row to the left of the window is kept, so that lines enter at its edge. */
function rowRange(track: Track, fromMs: number, toMs: number): [number, number] {
  return [Math.max(0, track.rowFrom(fromMs) - 1), track.rowFrom(toMs + 1)];
}

function cutOne(
  track: Track,
  series: readonly Series[],
  [first, end]: [number, number],
  into: WindowData,
): WindowData {
  const { times, values } = into;
  times.length = end - first;
  values.length = series.length;
  for (let row = first; row < end; row += 1) times[row - first] = track.timeAt(row);
  for (let index = 0; index < series.length; index += 1) {
    const { column } = series[index] as Series;
    values[index] ??= [];
    const cells = values[index] as Cell[];
    cells.length = end - first;
    for (let row = first; row < end; row += 1) {
      const value = track.valueAt(column, row);
      cells[row - first] = Number.isNaN(value) ? null : value;
    }
  }
  return into;
}

function cutSeveral(
  tracks: readonly Track[],
  series: readonly Series[],
  fromMs: number,
  toMs: number,
): WindowData {
  const all = new Set<number>();
  for (const track of tracks) {
    const [first, end] = rowRange(track, fromMs, toMs);
    for (let row = first; row < end; row += 1) all.add(track.timeAt(row));
  }
  const times = [...all].sort((a, b) => a - b);
  const place = new Map(times.map((time, index) => [time, index]));
  const values = series.map((each) => {
    const cells = new Array<Cell>(times.length).fill(undefined);
    const [first, end] = rowRange(each.track, fromMs, toMs);
    for (let row = first; row < end; row += 1) {
      const value = each.track.valueAt(each.column, row);
      cells[place.get(each.track.timeAt(row)) as number] = Number.isNaN(value) ? null : value;
    }
    return cells;
  });
  return { times, values };
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

export interface Summary {
  min: number;
  avg: number;
  max: number;
}

export function summarize(series: Series, fromMs: number): Summary | null {
  const { track, column } = series;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let total = 0;
  let count = 0;
  for (let row = track.rowFrom(fromMs); row < track.length; row += 1) {
    const value = track.valueAt(column, row);
    if (Number.isNaN(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    total += value;
    count += 1;
  }
  return count === 0 ? null : { min, avg: total / count, max };
}
