import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Live } from "./live";
import type { Catalog, MetricDescriptor } from "./wire";

class Socket {
  static last: Socket;
  readyState = 1;
  sent: { type: string; channel?: string; tier?: string; shape?: string }[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number; reason: string }) => void) | null = null;
  constructor() {
    Socket.last = this;
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.readyState = 3;
  }
}

let metrics: MetricDescriptor[];
let fetches: number;
let draws: number;
let live: Live;

const TIERS = { fast: 1000, medium: 5000, slow: 30_000 };
const TOPICS = [{ topic: "t", channel: "metrics:t", event: "t-metrics" }];

function metric(name: string): MetricDescriptor {
  const chart = { section: "S", title: name, style: "line", overview: true } as const;
  const rest = { topic: "t", plugin: "p", kind: "gauge", unit: "count", tier: "fast" } as const;
  return { name, help: "", labels: [], otel: null, chart, series: [], ...rest };
}

const says = (message: object) => Socket.last.onmessage?.({ data: JSON.stringify(message) });

function greets(agentId: string, at = Date.now()): void {
  const data = { agentId, topics: TOPICS, tiers: TIERS, host: { hostname: "h" } };
  says({ event: "initialData", channel: "", at, data });
}

function samples(names: string[], value: number, more: object = {}): void {
  const series = { fast: names.map((name) => [name, {}]) };
  const data = {
    tier: "fast",
    collector: "c",
    up: true,
    table: 1,
    series,
    values: { fast: names.map(() => value) },
  };
  says({ event: "t-metrics", channel: "metrics:t", at: Date.now(), data: { ...data, ...more } });
}

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_000_000 });
  metrics = [metric("a"), metric("absent")];
  fetches = 0;
  draws = 0;
  vi.stubGlobal("window", new EventTarget());
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("WebSocket", Socket);
  vi.stubGlobal("fetch", async (address: string) => {
    if (address.endsWith("/alerts"))
      return { ok: true, json: async () => ({ at: 0, alerts: [], rules: [] }) };
    fetches += 1;
    const catalog: Catalog = { version: "1", startedAt: 0, tiers: TIERS, topics: TOPICS, metrics };
    return { ok: true, json: async () => catalog };
  });
  live = new Live({ socketUrl: "ws://agent/ws" }, () => {
    draws += 1;
  });
  live.start();
  await vi.advanceTimersByTimeAsync(0);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("subscribes to the components and to every topic, in columns at the fastest tier", () => {
  greets("one");
  expect(Socket.last.sent.filter((request) => request.type === "subscribe")).toMatchObject([
    { channel: "basic-metrics" },
    { channel: "admin" },
    { channel: "metrics:t", tier: "fast", shape: "columns" },
  ]);
});

test("shows only metrics that have series", () => {
  greets("one");
  expect(live.shown.value?.metrics).toEqual([]);
  samples(["a"], 1);
  expect(live.shown.value?.metrics.map((each) => each.name)).toEqual(["a"]);
  expect(draws).toBeGreaterThan(0);
});

test("a name that the catalog lacks has it fetched again, once", async () => {
  greets("one");
  metrics = [...metrics, metric("new")];
  samples(["a", "new", "never-listed"], 1);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(fetches).toBe(2);
  expect(live.shown.value?.metrics.map((each) => each.name)).toEqual(["a", "new"]);
  samples(["a", "new", "never-listed"], 2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(fetches).toBe(2);
});

test("a restarted agent's catalog is fetched and its line begins anew; a lost connection does neither", async () => {
  greets("one");
  samples(["a"], 1);
  await vi.advanceTimersByTimeAsync(500);
  greets("one");
  await vi.advanceTimersByTimeAsync(500);
  samples(["a"], 2);
  expect(fetches).toBe(1);
  expect(live.history.of("a")[0]?.track.length).toBe(2);
  greets("two");
  await vi.advanceTimersByTimeAsync(500);
  samples(["a"], 3);
  expect(fetches).toBe(2);
  expect(live.history.of("a")[0]?.track.length).toBe(4);
});

test("a failing collector is down before the next report says so", () => {
  greets("one");
  const component = { name: "c", topic: "t", up: true, latencyMs: 1, since: 5, restarts: 0, error: null };
  says({
    event: "basic-metrics",
    channel: "basic-metrics",
    at: Date.now(),
    data: { components: [component] },
  });
  samples(["a"], 1, { up: false });
  expect(live.components.value).toMatchObject([{ name: "c", up: false, since: 1_000_000 }]);
});

test("the time is the agent's, also after its clock is set", () => {
  greets("one", 5_000_000);
  expect(live.now()).toBe(5_000_000);
  const frame = (at: number) =>
    says({
      event: "t-metrics",
      channel: "metrics:t",
      at,
      data: { tier: "fast", collector: "c", up: true, table: 1, values: {} },
    });
  frame(4_999_000);
  expect(live.now()).toBe(5_000_000);
  frame(5_000_200);
  expect(live.now()).toBe(5_000_200);
  frame(1_000);
  expect(live.now()).toBe(1_000);
});

test("a catalog that cannot be read is asked for until it can", async () => {
  vi.stubGlobal("fetch", async () => ({ ok: false, status: 503 }));
  greets("one");
  greets("two");
  await vi.advanceTimersByTimeAsync(10);
  expect(live.catalogProblem.value).toBe("the agent answered 503 when asked for its catalog");
  const body = { metrics: [], topics: TOPICS, at: 0, alerts: [], rules: [] };
  vi.stubGlobal("fetch", async () => ({ ok: true, json: async () => body }));
  await vi.advanceTimersByTimeAsync(31_000);
  expect(live.catalogProblem.value).toBeNull();
});

test("an alert's events reach the page, and skipped frames leave what is heard unsure", async () => {
  greets("one");
  await vi.advanceTimersByTimeAsync(10);
  const alert = { id: "r", rule: "r", state: "firing", severity: "critical", since: 1, firedAt: 2 };
  says({ event: "dashboard-alert", channel: "admin", at: Date.now(), data: alert });
  expect(live.alerts.firing.value.map((each) => each.rule)).toEqual(["r"]);
  says({
    event: "dashboard-alert-resolved",
    channel: "admin",
    at: Date.now(),
    data: { ...alert, state: "resolved" },
  });
  expect(live.alerts.firing.value).toEqual([]);
  samples(["a"], 1);
  const track = live.history.of("a")[0]?.track;
  expect(track?.coveredFrom).toBe(Date.now());
  says({ event: "skipped", channel: "metrics:t", at: Date.now(), data: { tier: "fast", skipped: 2 } });
  expect(track?.coveredFrom).toBe(Number.POSITIVE_INFINITY);
});
