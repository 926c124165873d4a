/**
 * The points of one series: least, mean and greatest value of each bucket of time, in rings that are allocated once
 * and hold a stretch of neighbouring buckets. A bucket's number is its start divided by the width of a point. NaN
 * means "no sample". It knows neither the clock nor where its values come from.
 */

/** More than a range's points: neighbouring ranges of the same width share them. */
export const BUCKETS_MAX = 512;

export interface Stats {
  min: number;
  avg: number;
  max: number;
}

export class Buckets {
  /** Number of the first bucket held. */
  base = 0;
  /** Outermost buckets that were ever given a value since they were held; `newest` is less when there is none. */
  oldest = Number.POSITIVE_INFINITY;
  newest = Number.NEGATIVE_INFINITY;
  private readonly mins = new Float64Array(BUCKETS_MAX).fill(Number.NaN);
  private readonly avgs = new Float64Array(BUCKETS_MAX).fill(Number.NaN);
  private readonly maxs = new Float64Array(BUCKETS_MAX).fill(Number.NaN);

  constructor(base: number) {
    this.base = base;
  }

  /** Holds the stretch that begins at `base`; what no longer belongs to it is forgotten. */
  slide(base: number): void {
    const by = base - this.base;
    if (by === 0) return;
    this.base = base;
    const [from, to] =
      Math.abs(by) >= BUCKETS_MAX
        ? [base, base + BUCKETS_MAX]
        : by > 0
          ? [base + BUCKETS_MAX - by, base + BUCKETS_MAX]
          : [base, base - by];
    for (let index = from; index < to; index += 1) this.write(index, Number.NaN, Number.NaN, Number.NaN);
    this.oldest = Math.max(this.oldest, base);
    this.newest = Math.min(this.newest, base + BUCKETS_MAX - 1);
  }

  /** Null takes the bucket's value away. A bucket that is not held is left out. */
  put(index: number, stats: Stats | null): void {
    if (!this.holds(index)) return;
    if (!stats) {
      this.write(index, Number.NaN, Number.NaN, Number.NaN);
      return;
    }
    this.write(index, stats.min, stats.avg, stats.max);
    this.oldest = Math.min(this.oldest, index);
    this.newest = Math.max(this.newest, index);
  }

  holds(index: number): boolean {
    return index >= this.base && index < this.base + BUCKETS_MAX;
  }

  /** NaN for a bucket that is not held, here and below. */
  avg(index: number): number {
    return this.holds(index) ? (this.avgs[slot(index)] as number) : Number.NaN;
  }

  min(index: number): number {
    return this.holds(index) ? (this.mins[slot(index)] as number) : Number.NaN;
  }

  max(index: number): number {
    return this.holds(index) ? (this.maxs[slot(index)] as number) : Number.NaN;
  }

  private write(index: number, min: number, avg: number, max: number): void {
    const at = slot(index);
    this.mins[at] = min;
    this.avgs[at] = avg;
    this.maxs[at] = max;
  }
}

function slot(index: number): number {
  return index % BUCKETS_MAX;
}
