/**
 * Fetches the page's past. A chart on the screen says which metrics and which stretch it shows; what its grid lacks is
 * asked for, several charts at a time, and given up again when no chart wants it any more. Live samples are folded into
 * the same grids, so that only what the page did not hear is fetched. It draws nothing.
 */
import { backoffDelayMs } from "./backoff";
import { Grid, SETTLE_MS } from "./model/grid";
import type { History } from "./model/history";
import type { Span } from "./model/range";
import type { HistoryAnswer, MetricDescriptor } from "./wire";

/** Widths of a point whose buckets are kept, so that going back from a zoom shows at once what was there. */
const GRIDS_MAX = 4;
/** Charts that appear together ask together. */
const COLLECT_MS = 25;
/** Metrics of one request: a first answer should not wait for all. */
const METRICS_MAX = 16;
/** A metric is not asked for again sooner, so that the seconds around the beginning of live cost one request. */
const ASK_AGAIN_MS = 4_000;
const ANSWER_MAX_MS = 30_000;
/** A step back in time by more than what a tick may be late means that the agent's clock was set. */
const CLOCK_BACK_MS = 5_000;

export type PastState =
  | { phase: "whole" }
  | { phase: "loading" }
  /** The last attempt failed; the next is at `retryAt`, by the clock of `now`. */
  | { phase: "failed"; why: string; retryAt: number };

/** What a chart needs. */
export interface Want {
  metrics: readonly MetricDescriptor[];
  span: Span;
  stepMs: number;
}

export interface PastOptions {
  history: History;
  /** The agent's time. */
  now: () => number;
  /** Whether there is an agent to ask. */
  connected: () => boolean;
  /** There is something new to draw. */
  onChange: () => void;
  /** Stand-in for tests. */
  fetch?: typeof fetch;
  random?: () => number;
}

interface Ask {
  grid: Grid;
  from: number;
  to: number;
  metrics: Set<string>;
  owners: Set<object>;
  /** Null while it waits for others to join. */
  abort: AbortController | null;
}

interface Trouble {
  why: string;
  retryAt: number;
}

export class Past {
  private readonly options: PastOptions;
  private grids: Grid[] = [];
  private asks: Ask[] = [];
  /** By width and metric: when it was last asked for, and up to which bucket that was certain. */
  private readonly asked = new Map<string, { at: number; closed: number }>();
  private trouble: Trouble | null = null;
  private failures = 0;
  private stopped = new Map<string, string>();
  private collectTimer: ReturnType<typeof setTimeout> | undefined;
  private newestNow = 0;

  constructor(options: PastOptions) {
    this.options = options;
  }

  /** A connection begins; a restarted agent may have lost what the page believes to know. */
  begin(restarted: boolean): void {
    this.trouble = null;
    this.failures = 0;
    if (restarted) this.doubt();
  }

  /** The grid with that width of a point. */
  grid(stepMs: number): Grid {
    const known = this.grids.find((grid) => grid.stepMs === stepMs);
    const grid = known ?? new Grid(stepMs);
    if (this.grids[0] === grid) return grid;
    this.grids = [grid, ...this.grids.filter((other) => other !== grid)];
    for (const old of this.grids.splice(GRIDS_MAX)) this.drop((ask) => ask.grid === old);
    return grid;
  }

  /** Called at each draw of a chart that is on the screen: folds live samples in, and asks for what is missing. */
  want(owner: object, want: Want): PastState {
    const now = this.options.now();
    this.watchClock(now);
    const grid = this.grid(want.stepMs);
    const from = grid.indexOf(want.span.from);
    const to = grid.indexOf(want.span.to) + 1;
    grid.hold(from, to);
    this.leave(owner, (ask) => ask.grid !== grid || ask.to <= from || ask.from >= to);
    for (const metric of want.metrics) grid.fold(this.options.history, metric.name, metric.kind, now);
    let loading = false;
    for (const { name } of want.metrics) {
      const running = this.asks.find((ask) => ask.grid === grid && ask.metrics.has(name));
      if (running) {
        running.owners.add(owner);
        loading = true;
        continue;
      }
      const span = grid.missing(name, from, to, now);
      if (!span) continue;
      if (!this.options.connected()) {
        loading = true;
        continue;
      }
      if (this.trouble && now < this.trouble.retryAt) return { phase: "failed", ...this.trouble };
      const last = this.asked.get(`${want.stepMs} ${name}`);
      if (last && span[0] >= last.closed && now - last.at < ASK_AGAIN_MS) continue;
      this.enqueue(owner, grid, name, span[0], span[1]);
      loading = true;
    }
    return this.trouble && loading
      ? { phase: "failed", ...this.trouble }
      : { phase: loading ? "loading" : "whole" };
  }

  /** Why the agent left out a part of what it was asked for; null when it did not. */
  incomplete(want: Want): string | null {
    for (const { name } of want.metrics) {
      const why = this.stopped.get(`${want.stepMs} ${name}`);
      if (why !== undefined) return why;
    }
    return null;
  }

  /** A chart is gone, or off the screen. */
  release(owner: object): void {
    this.leave(owner, () => true);
  }

  private leave(owner: object, which: (ask: Ask) => boolean): void {
    for (const ask of this.asks) if (which(ask)) ask.owners.delete(owner);
    this.drop((ask) => ask.owners.size === 0);
  }

  private drop(which: (ask: Ask) => boolean): void {
    for (const ask of this.asks) if (which(ask)) this.forget(ask);
    this.asks = this.asks.filter((ask) => !which(ask));
  }

  private forget(ask: Ask): void {
    ask.abort?.abort();
    for (const name of ask.metrics) this.asked.delete(`${ask.grid.stepMs} ${name}`);
  }

  private enqueue(owner: object, grid: Grid, metric: string, from: number, to: number): void {
    const now = this.options.now();
    const closed = Math.min(to, grid.indexOf(now - SETTLE_MS));
    this.asked.set(`${grid.stepMs} ${metric}`, { at: now, closed });
    const open = this.asks.find(
      (ask) =>
        !ask.abort &&
        ask.grid === grid &&
        ask.from === from &&
        ask.to === to &&
        ask.metrics.size < METRICS_MAX,
    );
    if (open) {
      open.metrics.add(metric);
      open.owners.add(owner);
    } else {
      const ask = { grid, from, to, metrics: new Set([metric]), owners: new Set([owner]), abort: null };
      this.asks.push(ask);
    }
    this.collectTimer ??= setTimeout(() => {
      this.collectTimer = undefined;
      for (const ask of this.asks) if (!ask.abort) this.send(ask);
    }, COLLECT_MS);
  }

  private send(ask: Ask): void {
    const abort = new AbortController();
    ask.abort = abort;
    const askedAt = this.options.now();
    const limit = AbortSignal.any([abort.signal, AbortSignal.timeout(ANSWER_MAX_MS)]);
    readHistory(this.options.fetch ?? fetch, historyAddress(ask), limit).then(
      (answer) => {
        if (abort.signal.aborted) return;
        if (answer.step !== ask.grid.stepMs) {
          this.failed(ask, `its points are ${answer.step} ms wide, and not ${ask.grid.stepMs} ms`);
          return;
        }
        this.done(ask);
        this.trouble = null;
        this.failures = 0;
        ask.grid.take(answer, [...ask.metrics], [ask.from, ask.to], askedAt);
        for (const name of ask.metrics) {
          const key = `${ask.grid.stepMs} ${name}`;
          if (answer.complete) this.stopped.delete(key);
          else this.stopped.set(key, answer.stopped ?? "a part of it is not there");
        }
        this.options.onChange();
      },
      (failure: unknown) => {
        if (!abort.signal.aborted)
          this.failed(ask, failure instanceof Error ? failure.message : String(failure));
      },
    );
  }

  private done(ask: Ask): void {
    this.asks = this.asks.filter((other) => other !== ask);
  }

  /** Requests that fail together count as one failure. */
  private failed(ask: Ask, why: string): void {
    this.done(ask);
    this.forget(ask);
    const now = this.options.now();
    if (!this.trouble || now >= this.trouble.retryAt) {
      const delay = 1_000 + backoffDelayMs(this.failures, (this.options.random ?? Math.random)());
      this.failures += 1;
      this.trouble = { why, retryAt: now + delay };
    }
    this.options.onChange();
  }

  private watchClock(now: number): void {
    if (now < this.newestNow - CLOCK_BACK_MS) {
      this.grids = [];
      this.drop(() => true);
      this.doubt();
      this.newestNow = now;
    }
    this.newestNow = Math.max(this.newestNow, now);
  }

  private doubt(): void {
    this.asked.clear();
    this.stopped.clear();
    this.drop(() => true);
    for (const grid of this.grids) grid.doubt();
  }
}

function historyAddress(ask: { grid: Grid; from: number; to: number; metrics: ReadonlySet<string> }): string {
  const { stepMs } = ask.grid;
  const query = new URLSearchParams([...ask.metrics].map((name) => ["metric", name]));
  query.set("from", String(ask.from * stepMs));
  query.set("to", String(ask.to * stepMs));
  query.set("points", String(ask.to - ask.from));
  return `/api/dashboard/metrics/history?${query}`;
}

/** Rejects with a sentence for the page. */
async function readHistory(ask: typeof fetch, address: string, signal: AbortSignal): Promise<HistoryAnswer> {
  const answer = await ask(address, { headers: { accept: "application/json" }, signal });
  if (!answer.ok) throw new Error(`the agent answered ${answer.status}`);
  return (await answer.json()) as HistoryAnswer;
}
