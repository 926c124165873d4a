/**
 * The last minutes of one collector at one tier: a ring of times, and for each series a ring of values beside it,
 * all typed arrays that are allocated once. NaN means "no sample". Whoever draws reads it by logical row, oldest
 * first. It inserts the rows that keep a line from being joined over time in which nothing was measured, and knows
 * nothing of metrics, charts or the clock.
 */

/** Two neighbours further apart than this many intervals are not joined. */
export const GAP_INTERVALS = 2.5;

/** Rows beyond the window, for the rows that mark gaps and for the one left of the window's edge. */
const SPARE_ROWS = 84;

export type Column = Float64Array<ArrayBuffer>;

export class Track {
  readonly intervalMs: number;
  readonly capacity: number;
  /** Rows held, at most `capacity`. */
  length = 0;
  private readonly times: Column;
  private readonly columns = new Set<Column>();
  private first = 0;
  private broken = false;
  private heardFrom = Number.POSITIVE_INFINITY;

  constructor(intervalMs: number, windowMs: number) {
    this.intervalMs = intervalMs;
    this.capacity = Math.ceil(windowMs / intervalMs) + SPARE_ROWS;
    this.times = new Float64Array(this.capacity);
  }

  addColumn(): Column {
    const column = new Float64Array(this.capacity).fill(Number.NaN);
    this.columns.add(column);
    return column;
  }

  removeColumn(column: Column): void {
    this.columns.delete(column);
  }

  /** No sample after this moment is missing here; infinite when there is none since `uncover`. */
  get coveredFrom(): number {
    return this.length < this.capacity ? this.heardFrom : Math.max(this.heardFrom, this.timeAt(0));
  }

  /** Samples may have been missed: what is heard from the next one on is whole again. */
  uncover(): void {
    this.heardFrom = Number.POSITIVE_INFINITY;
  }

  /** Adds a row at `at`; columns that `cells` does not name get no sample. */
  append(at: number, cells: Iterable<readonly [Column, number | null]>): void {
    // A clock that was set back would make times fall: what lies at or after the new time is forgotten.
    while (this.length > 0 && this.timeAt(this.length - 1) >= at) this.length -= 1;
    if (this.length > 0) {
      const last = this.timeAt(this.length - 1);
      const distance = at - last;
      if (this.broken || distance > GAP_INTERVALS * this.intervalMs) {
        this.push(last + Math.min(this.intervalMs, distance / 2));
      }
    }
    this.broken = false;
    // Also less than before, when the clock was set back.
    if (this.heardFrom === Number.POSITIVE_INFINITY || at < this.heardFrom) this.heardFrom = at;
    const slot = this.push(at);
    for (const [column, value] of cells) column[slot] = value ?? Number.NaN;
  }

  /** Keeps the next row from being joined to the last one, however close they are. */
  breakHere(): void {
    this.broken = true;
  }

  timeAt(row: number): number {
    return this.times[this.slot(row)] as number;
  }

  valueAt(column: Column, row: number): number {
    return column[this.slot(row)] as number;
  }

  /** The first row at or after `at`; `length` when there is none. */
  rowFrom(at: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.timeAt(middle) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private push(at: number): number {
    if (this.length === this.capacity) this.first = (this.first + 1) % this.capacity;
    else this.length += 1;
    const slot = this.slot(this.length - 1);
    this.times[slot] = at;
    for (const column of this.columns) column[slot] = Number.NaN;
    return slot;
  }

  private slot(row: number): number {
    return (this.first + row) % this.capacity;
  }
}
