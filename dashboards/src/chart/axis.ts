/**
 * The y axis. It begins at zero unless there are negative values, and ends at a round number, so that it stands
 * still while values move and every chart has the same two quiet lines. Pure.
 */
import { type DisplayUnit, formatClock, formatDate } from "../format/units";

export interface YRange {
  min: number;
  max: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TIME_STEPS_MS = [
  ...[1_000, 2_000, 5_000, 10_000, 15_000, 30_000],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
  ...[1, 2, 7, 14, 30, 60, 120, 365].map((days) => days * DAY_MS),
];
/** A time label with the space around it. */
const LABEL_PX = 84;
/** Round ends; half of each is short to write as well, and is where the middle line lies. */
const ROUND = [1, 2, 3, 4, 5, 6, 8, 10] as const;
/** What may be cut off above the end: a share of two processors reads 2.003 now and then, and must not double the axis. */
const OVERSHOOT = 0.01;

export function yRange(dataMin: number | null, dataMax: number | null, unit: DisplayUnit): YRange {
  const top = roundUp(Math.max(dataMax ?? 0, 0), unit);
  if (dataMin === null || dataMin >= 0) return { min: 0, max: top };
  const end = Math.max(roundUp(-dataMin, unit), dataMax !== null && dataMax > 0 ? top : 0);
  return { min: -end, max: dataMax !== null && dataMax > 0 ? end : 0 };
}

/** Round times for the x axis, as many as `widthPx` has room for. Hours and days are round where the page is. */
export function timeSplits(fromMs: number, toMs: number, widthPx: number): number[] {
  const room = Math.max(1, Math.floor(widthPx / LABEL_PX));
  const step =
    TIME_STEPS_MS.find((each) => (toMs - fromMs) / each <= room) ?? (TIME_STEPS_MS.at(-1) as number);
  const splits: number[] = [];
  const offset = zoneOffsetMs(fromMs);
  for (let at = Math.ceil((fromMs + offset) / step) * step - offset; at <= toMs; at += step) {
    // Where the clock is put forward or back in between, what follows is moved with it.
    const turn = step >= HOUR_MS ? offset - zoneOffsetMs(at) : 0;
    if (at + turn >= fromMs && at + turn <= toMs) splits.push(at + turn);
  }
  return splits;
}

function zoneOffsetMs(atMs: number): number {
  return -new Date(atMs).getTimezoneOffset() * MINUTE_MS;
}

/** As short as a round time can be told apart from its neighbours: seconds, minutes, or the day at midnight. */
export function timeLabel(atMs: number, spanMs: number): string {
  const clock = formatClock(atMs);
  if (clock === "00:00:00" && spanMs > 3 * HOUR_MS) return formatDate(atMs).slice(5, 10);
  return clock.endsWith(":00") ? clock.slice(0, 5) : clock;
}

export function ySplits(range: YRange): number[] {
  return [range.min, (range.min + range.max) / 2, range.max];
}

function roundUp(value: number, unit: DisplayUnit): number {
  const wanted = Math.max(value * (1 - OVERSHOOT), smallestEnd(unit));
  if (unit.unit === "bytes") {
    const power = 2 ** Math.floor(Math.log2(wanted));
    return power >= wanted ? power : wanted <= 1.5 * power ? 1.5 * power : 2 * power;
  }
  const power = 10 ** Math.floor(Math.log10(wanted) + 1e-9);
  const step = ROUND.find((each) => each * power >= wanted * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Below these a chart would magnify noise. */
function smallestEnd(unit: DisplayUnit): number {
  if (unit.unit === "ratio") return 0.04;
  if (unit.unit === "bytes") return 1024;
  if (unit.unit === "seconds") return 1e-6;
  return 1;
}
