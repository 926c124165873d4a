/**
 * A set of whole numbers, kept as sorted spans that neither touch nor overlap: which points of a metric are known.
 * Pure.
 */

/** From `from` up to, without, `to`. */
export type IndexSpan = readonly [from: number, to: number];

export class Spans {
  private spans: IndexSpan[] = [];

  add(from: number, to: number): void {
    if (to <= from) return;
    let [first, end] = [from, to];
    const rest: IndexSpan[] = [];
    for (const span of this.spans) {
      if (span[1] < first || span[0] > end) {
        rest.push(span);
        continue;
      }
      first = Math.min(first, span[0]);
      end = Math.max(end, span[1]);
    }
    rest.push([first, end]);
    this.spans = rest.sort((a, b) => a[0] - b[0]);
  }

  has(index: number): boolean {
    return this.spans.some(([from, to]) => index >= from && index < to);
  }

  /** The shortest span that holds every number from `from` up to `to` that is not in the set; null when all are. */
  missing(from: number, to: number): IndexSpan | null {
    let first = from;
    let end = to;
    for (const span of this.spans) if (span[0] <= first && span[1] > first) first = span[1];
    for (let at = this.spans.length - 1; at >= 0; at -= 1) {
      const span = this.spans[at] as IndexSpan;
      if (span[0] < end && span[1] >= end) end = span[0];
    }
    return first < end ? [first, end] : null;
  }

  /** Forgets what lies outside. */
  keep(from: number, to: number): void {
    this.spans = this.spans
      .map(([first, end]) => [Math.max(first, from), Math.min(end, to)] as const)
      .filter(([first, end]) => first < end);
  }

  clear(): void {
    this.spans = [];
  }
}
