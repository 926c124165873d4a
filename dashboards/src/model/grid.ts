/**
 * The page's past at one width of a point: the buckets of every series that a chart asked for, filled from answers
 * about history and from live samples alike, so that there is no seam between the two. It says which buckets of a
 * metric are missing; it never fetches and never draws.
 */
import type { HistoryAnswer, HistorySeries, Kind } from "../wire";
import { BUCKETS_MAX, Buckets, type Stats } from "./buckets";
import { type Base, fold, foldOnto } from "./fold";
import type { History, Series } from "./history";
import { type Labels, labelsKey } from "./labels";
import { type IndexSpan, Spans } from "./spans";

/** A bucket is over when this has passed since its end: its last sample has reached the page, and the store. */
export const SETTLE_MS = 2_000;

/** How many buckets a window may move on before what is held moves as well. */
const ROOM = 64;

export interface Line {
  /** Collector, metric and labels. */
  readonly key: string;
  readonly metric: string;
  readonly collector: string;
  readonly labels: Labels;
  readonly labelsKey: string;
  readonly buckets: Buckets;
  /** What history told of a bucket that was not over. */
  base: { index: number; part: Base } | null;
}

interface MetricState {
  lines: Map<string, Line>;
  /** Buckets that will not change any more. */
  known: Spans;
}

/** Names a series the same way whether it is heard of live or in an answer. */
export function lineKey(collector: string, metric: string, labelsText: string): string {
  return `${collector} ${metric}${labelsText}`;
}

export class Grid {
  readonly stepMs: number;
  /** Number of the first bucket held. */
  base = 0;
  /** Grows whenever an answer brought something. */
  version = 0;
  private readonly metrics = new Map<string, MetricState>();

  constructor(stepMs: number) {
    this.stepMs = stepMs;
  }

  indexOf(atMs: number): number {
    return Math.floor(atMs / this.stepMs);
  }

  /** Makes room for the buckets from `from` up to `to`; those far from them are forgotten. */
  hold(from: number, to: number): void {
    if (from >= this.base && to <= this.base + BUCKETS_MAX) return;
    // As much as possible of what is held stays, with some room on the side to which the window moves.
    this.base =
      from < this.base ? Math.max(to - BUCKETS_MAX, from - ROOM, 0) : Math.min(from, to + ROOM - BUCKETS_MAX);
    for (const state of this.metrics.values()) {
      state.known.keep(this.base, this.base + BUCKETS_MAX);
      for (const [key, line] of state.lines) {
        line.buckets.slide(this.base);
        if (line.buckets.newest < line.buckets.oldest) state.lines.delete(key);
      }
    }
  }

  linesOf(metric: string): Iterable<Line> {
    return this.metrics.get(metric)?.lines.values() ?? [];
  }

  /** The buckets of a metric that have to be asked for, out of those from `from` up to `to` that have begun. */
  missing(metric: string, from: number, to: number, now: number): IndexSpan | null {
    const over = this.indexOf(now - SETTLE_MS);
    const known = this.state(metric).known;
    const missing = known.missing(from, Math.min(to, over));
    // While live has not told the whole of the running bucket, an answer about its first part completes it.
    return missing && [missing[0], missing[1] === over ? Math.min(to, this.indexOf(now) + 1) : missing[1]];
  }

  /** Nothing is certain any more: the agent was restarted, or its clock was set. Values stay until answers come. */
  doubt(): void {
    for (const state of this.metrics.values()) state.known.clear();
  }

  /** Brings the buckets to which live samples contribute up to date. */
  fold(history: History, metric: string, kind: Kind, now: number): void {
    // A collector that has not been heard of since the connection began has nothing to tell.
    const live = history.of(metric).filter((series) => series.track.coveredFrom < Number.POSITIVE_INFINITY);
    if (live.length === 0) return;
    const state = this.state(metric);
    const coveredAt = Math.max(...live.map((series) => series.track.coveredFrom));
    const running = this.indexOf(now);
    const over = this.indexOf(now - SETTLE_MS);
    // The sample at which live began may be an old one, told again, so that its bucket is not whole.
    const whole = this.indexOf(coveredAt) + 1;
    const first = Math.max(whole - 1, this.base, running + 1 - BUCKETS_MAX);
    for (let index = first; index <= running; index += 1) {
      if (state.known.has(index)) continue;
      for (const series of live) this.foldOne(state, series, kind, index, index < whole, now);
    }
    state.known.add(Math.max(whole, this.base), Math.min(over, this.base + BUCKETS_MAX));
  }

  /**
   * Files an answer about `metrics` and the buckets `asked`, which was asked for at `askedAt`.
   * Of what it leaves out, such as a time before the agent's memory, it says that there is nothing.
   */
  take(answer: HistoryAnswer, metrics: readonly string[], asked: IndexSpan, askedAt: number): void {
    const over = this.indexOf(askedAt - SETTLE_MS);
    const from = Math.max(asked[0], this.base);
    const to = Math.min(asked[1], this.base + BUCKETS_MAX);
    const closed = Math.max(from, Math.min(to, over));
    const offset = this.indexOf(answer.from);
    for (const metric of metrics) {
      const state = this.state(metric);
      for (const line of state.lines.values()) {
        for (let index = from; index < closed; index += 1) {
          if (!state.known.has(index)) line.buckets.put(index, null);
        }
      }
    }
    for (const series of answer.series) {
      const state = this.metrics.get(series.metric);
      if (!state || !metrics.includes(series.metric)) continue;
      const line = this.line(state, series.collector, series.metric, series.labels, labelsKey(series.labels));
      for (let index = from; index < to; index += 1) {
        if (state.known.has(index)) continue;
        const stats = statsAt(series, index - offset);
        if (index < closed) line.buckets.put(index, stats);
        else if (stats) this.takeRunning(line, index, stats, askedAt);
      }
    }
    for (const metric of metrics) this.state(metric).known.add(from, closed);
    this.version += 1;
  }

  private takeRunning(line: Line, index: number, stats: Stats, askedAt: number): void {
    const untilMs = Math.min(askedAt, (index + 1) * this.stepMs);
    // Of several buckets that are not over, only the last one has more to come that only live can tell.
    line.base = { index, part: { ...stats, untilMs } };
    line.buckets.put(index, stats);
  }

  private foldOne(
    state: MetricState,
    series: Series,
    kind: Kind,
    index: number,
    began: boolean,
    now: number,
  ): void {
    const line = this.line(state, series.collector, series.metric, series.labels, series.labelsKey);
    const start = index * this.stepMs;
    const base = began && line.base?.index === index ? line.base.part : null;
    const end = start + this.stepMs;
    const counter = kind === "counter";
    const since = base ? Math.max(start, base.untilMs) : start;
    const stats = foldOnto(base, fold(series, counter, since, end), start, Math.min(now, end));
    if (stats) line.buckets.put(index, stats);
  }

  private state(metric: string): MetricState {
    let state = this.metrics.get(metric);
    if (!state) {
      state = { lines: new Map(), known: new Spans() };
      this.metrics.set(metric, state);
    }
    return state;
  }

  private line(
    state: MetricState,
    collector: string,
    metric: string,
    labels: Labels,
    labelsText: string,
  ): Line {
    const key = lineKey(collector, metric, labelsText);
    let line = state.lines.get(key);
    if (!line) {
      const buckets = new Buckets(this.base);
      line = { key, metric, collector, labels, labelsKey: labelsText, buckets, base: null };
      state.lines.set(key, line);
    }
    return line;
  }
}

function statsAt(series: HistorySeries, point: number): Stats | null {
  const avg = series.avg?.[point] ?? null;
  if (avg === null) return null;
  return { min: series.min?.[point] ?? avg, avg, max: series.max?.[point] ?? avg };
}
