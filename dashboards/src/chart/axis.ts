/**
 * The y axis. It begins at zero unless there are negative values, and ends at a round number, so that it stands
 * still while values move and every chart has the same two quiet lines. Pure.
 */
import type { DisplayUnit } from "../format/units";

export interface YRange {
  min: number;
  max: number;
}

const TIME_STEPS_MS = [15_000, 30_000, 60_000, 120_000] as const;
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

/** Round times for the x axis, as many as `widthPx` has room for. */
export function timeSplits(fromMs: number, toMs: number, widthPx: number): number[] {
  const room = Math.max(1, Math.floor(widthPx / LABEL_PX));
  const step = TIME_STEPS_MS.find((each) => (toMs - fromMs) / each <= room) ?? 300_000;
  const splits: number[] = [];
  for (let at = Math.ceil(fromMs / step) * step; at <= toMs; at += step) splits.push(at);
  return splits;
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
