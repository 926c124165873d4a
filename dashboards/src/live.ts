/**
 * The page's store: what the agent last said, as signals, and the samples in `history`. It subscribes when a
 * connection begins, fetches the catalog when that is missing or no longer covers what arrives, and tells the charts
 * that there is something to draw. Components read it and never write it.
 */
import { batch, computed, signal } from "@preact/signals";
import { Alerts } from "./alerts";
import { backoffDelayMs } from "./backoff";
import { Connection, type ConnectionState } from "./connection";
import type { Frame } from "./frame";
import { History } from "./model/history";
import { Past } from "./past";
import { Plugins } from "./plugins";
import type { Catalog, Component, ErrorBody, InitialData } from "./wire";

/** A catalog that was just fetched is not fetched again sooner, whatever unknown names arrive. */
const CATALOG_AGE_MIN_MS = 1_000;
const CLOCK_LAG_MAX_MS = 10_000;

export class Live {
  readonly connection = signal<ConnectionState>({ phase: "connecting", since: Date.now() });
  readonly initial = signal<InitialData | null>(null);
  readonly catalog = signal<Catalog | null>(null);
  /** The catalog without the metrics that this machine has no series of, such as swap where there is none. */
  readonly shown = computed(() => this.catalog.value && withMetrics(this.catalog.value, this.present.value));
  /** Why the catalog could not be read; null when it could. */
  readonly catalogProblem = signal<string | null>(null);
  readonly components = signal<readonly Component[]>([]);
  /** When `components` was last heard of, by the agent's clock. */
  readonly componentsAt = signal(0);
  /** The last request that the agent refused. */
  readonly refusal = signal<ErrorBody | null>(null);
  readonly history = new History();
  readonly past: Past;
  readonly alerts: Alerts;
  readonly plugins = new Plugins();
  /** When each collector last sent a frame, by the agent's clock. */
  readonly collectorAt = new Map<string, number>();

  /** Metrics that have had a series. */
  private readonly present = signal<ReadonlySet<string>>(new Set());
  private readonly socket: Connection;
  private readonly onSamples: () => void;
  private clockAheadMs = 0;
  private pingSentAt: number | null = null;
  private fetchTimer: ReturnType<typeof setTimeout> | undefined;
  private fetchFailures = 0;
  private fetchedAt = Number.NEGATIVE_INFINITY;
  private readonly askedFor = new Set<string>();

  constructor(address: { socketUrl: string }, onSamples: () => void) {
    this.onSamples = onSamples;
    this.past = new Past({
      history: this.history,
      now: () => this.now(),
      connected: () => ["live", "stale"].includes(this.connection.peek().phase),
      onChange: onSamples,
    });
    this.alerts = new Alerts({ onChange: onSamples });
    this.socket = new Connection({
      url: address.socketUrl,
      onFrame: (frame) => batch(() => this.take(frame)),
      onState: (state) => {
        this.connection.value = state;
      },
    });
  }

  start(): void {
    this.socket.start();
    this.fetchCatalog(0);
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retryNow();
    });
  }

  retryNow(): void {
    this.socket.retryNow();
  }

  /** The agent's wall clock, as well as the page knows it. */
  now(): number {
    return Date.now() + this.clockAheadMs;
  }

  /** A moment of the page's clock, such as a connection state's, in the agent's. */
  agentTime(pageMs: number): number {
    return pageMs + this.clockAheadMs;
  }

  private take(frame: Frame): void {
    switch (frame.kind) {
      case "initial":
        this.begin(frame.at, frame.data);
        break;
      case "columns":
        this.takeColumns(frame);
        break;
      case "basic":
        this.components.value = frame.data.components;
        this.componentsAt.value = frame.at;
        this.plugins.refresh();
        break;
      case "reply":
        if (frame.reply.type === "error") this.refusal.value = frame.reply.error;
        else if (frame.reply.at !== undefined) this.setClock(frame.reply.at);
        break;
      case "alert":
        this.alerts.take(frame.data, frame.at);
        break;
      case "skipped":
        // The ticks are missing from the rows; what the agent kept of them is fetched.
        this.history.missed();
        break;
    }
  }

  private begin(at: number, data: InitialData): void {
    const restarted = this.initial.value !== null && this.initial.value.agentId !== data.agentId;
    this.clockAheadMs = at - Date.now();
    this.history.begin(data.tiers, restarted);
    this.past.begin(restarted);
    this.initial.value = data;
    this.refusal.value = null;
    if (restarted) {
      this.askedFor.clear();
      this.fetchCatalog(0);
    }
    this.socket.request({ type: "subscribe", channel: "basic-metrics" });
    // Events first, then the list: what changes in between comes as an event.
    this.socket.request({ type: "subscribe", channel: "admin" });
    this.alerts.begin();
    this.plugins.begin();
    for (const { channel } of data.topics) {
      this.socket.request({ type: "subscribe", channel, tier: "fast", shape: "columns" });
    }
    this.pingSentAt = Date.now();
    this.socket.request({ type: "ping" });
  }

  /** A ping's answer is `at` plus half the way; only this connection's first ping has a known start. */
  private setClock(at: number): void {
    if (this.pingSentAt === null) return;
    const wayMs = (Date.now() - this.pingSentAt) / 2;
    this.pingSentAt = null;
    this.clockAheadMs = at + wayMs - Date.now();
  }

  /** No frame comes from the future, and none is long on its way: if one seems so, a clock was set. */
  private noteClock(at: number): void {
    const aheadMs = at - this.now();
    if (aheadMs > 0 || aheadMs < -CLOCK_LAG_MAX_MS) this.clockAheadMs = at - Date.now();
  }

  private takeColumns(frame: Extract<Frame, { kind: "columns" }>): void {
    this.noteClock(frame.at);
    const named = this.history.take(frame.at, frame.data);
    this.collectorAt.set(frame.data.collector, frame.at);
    this.noteHealth(frame.data.collector, frame.data.up, frame.at);
    if (named.length > 0) this.learnMetrics(named);
    this.onSamples();
  }

  /** A failing collector says so at once, and up to a second before the next report of all components. */
  private noteHealth(collector: string, up: boolean, at: number): void {
    const components = this.components.peek();
    if (!components.some((each) => each.name === collector && each.up !== up)) return;
    this.components.value = components.map((each) =>
      each.name === collector ? { ...each, up, since: at } : each,
    );
  }

  private learnMetrics(names: readonly string[]): void {
    this.notePresent(names);
    const catalog = this.catalog.peek();
    if (!catalog) return;
    const known = new Set(catalog.metrics.map((metric) => metric.name));
    const unknown = names.filter((name) => !known.has(name) && !this.askedFor.has(name));
    if (unknown.length === 0) return;
    for (const name of unknown) this.askedFor.add(name);
    this.fetchCatalog(Math.max(0, this.fetchedAt + CATALOG_AGE_MIN_MS - performance.now()));
  }

  private notePresent(names: readonly string[]): void {
    const present = this.present.peek();
    if (names.some((name) => !present.has(name))) this.present.value = new Set([...present, ...names]);
  }

  private fetchCatalog(delayMs: number): void {
    clearTimeout(this.fetchTimer);
    this.fetchTimer = setTimeout(() => {
      this.fetchedAt = performance.now();
      readCatalog().then(
        (catalog) => {
          this.fetchFailures = 0;
          batch(() => {
            this.catalog.value = catalog;
            this.notePresent(
              catalog.metrics.flatMap(({ name, series }) => (series.length > 0 ? [name] : [])),
            );
            this.catalogProblem.value = null;
          });
          this.onSamples();
        },
        (failure: unknown) => {
          this.catalogProblem.value = failure instanceof Error ? failure.message : String(failure);
          this.fetchFailures += 1;
          this.fetchCatalog(500 + backoffDelayMs(this.fetchFailures, Math.random()));
        },
      );
    }, delayMs);
  }
}

function withMetrics(catalog: Catalog, names: ReadonlySet<string>): Catalog {
  return { ...catalog, metrics: catalog.metrics.filter((metric) => names.has(metric.name)) };
}

/** Rejects with a sentence for the page when the agent does not answer, or answers with an error. */
async function readCatalog(): Promise<Catalog> {
  const answer = await fetch("/api/catalog", {
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(10_000),
  });
  if (!answer.ok) throw new Error(`the agent answered ${answer.status} when asked for its catalog`);
  return (await answer.json()) as Catalog;
}

/** The socket's address beside the page's own. */
export function socketUrl(page: { protocol: string; host: string }): string {
  return `${page.protocol === "https:" ? "wss" : "ws"}://${page.host}/ws`;
}
