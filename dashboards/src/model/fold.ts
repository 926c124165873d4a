/**
 * Makes a bucket out of live samples, as the agent makes a point of history: least, mean and greatest value of the
 * samples in it. A counter's samples are rates, and each counts for as long as it covers. Pure.
 */
import type { Stats } from "./buckets";
import type { Series } from "./history";

/** The part of a bucket that history told while the bucket was not over. */
export interface Base extends Stats {
  /** Up to here; later samples are not in it. */
  untilMs: number;
}

/** Samples from `fromMs` up to, without, `toMs`; null where there is none. */
export function fold(series: Series, counter: boolean, fromMs: number, toMs: number): Stats | null {
  const { track, column } = series;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let total = 0;
  let weights = 0;
  for (let row = track.rowFrom(fromMs); row < track.length; row += 1) {
    const at = track.timeAt(row);
    if (at >= toMs) break;
    const value = track.valueAt(column, row);
    if (Number.isNaN(value)) continue;
    const weight = counter && row > 0 ? at - track.timeAt(row - 1) : track.intervalMs;
    min = Math.min(min, value);
    max = Math.max(max, value);
    total += value * weight;
    weights += weight;
  }
  // A mean of equal values must not differ from them by rounding.
  return weights === 0 ? null : { min, avg: min === max ? min : total / weights, max };
}

/** The bucket in which live began: what history told of its first part, and the samples since. */
export function foldOnto(
  base: Base | null,
  live: Stats | null,
  startMs: number,
  nowMs: number,
): Stats | null {
  if (!base || !live) return base ?? live;
  const known = Math.max(0, base.untilMs - startMs);
  const since = Math.max(0, nowMs - base.untilMs);
  const share = known + since === 0 ? 0.5 : known / (known + since);
  return {
    min: Math.min(base.min, live.min),
    avg: base.avg * share + live.avg * (1 - share),
    max: Math.max(base.max, live.max),
  };
}
