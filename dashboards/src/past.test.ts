import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { History } from "./model/history";
import { Past, type Want } from "./past";
import type { HistoryAnswer, MetricDescriptor } from "./wire";

const START = 1_000_000_000;
let history: History;
let past: Past;
let asked: URLSearchParams[];
let signals: AbortSignal[];
let draws: number;
/** Settles the oldest request that waits. */
let waiting: { resolve: (answer: unknown) => void }[];
let connected: boolean;

function metric(name: string): MetricDescriptor {
  const chart = { section: "S", title: name, style: "line", overview: true } as const;
  const rest = { topic: "t", plugin: "p", kind: "gauge", unit: "count", tier: "fast" } as const;
  return { name, help: "", labels: [], otel: null, chart, series: [], ...rest };
}

const want = (names: string[], spanMs = 3_600_000, stepMs = 10_000): Want => ({
  metrics: names.map(metric),
  span: { from: Date.now() - spanMs, to: Date.now() },
  stepMs,
});

function answer(query: URLSearchParams, more: Partial<HistoryAnswer> = {}): unknown {
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  const points = Number(query.get("points"));
  const values = Array.from({ length: points }, () => 1);
  const series = query
    .getAll("metric")
    .map((name) => ({ metric: name, kind: "gauge", unit: "count", collector: "c", labels: {}, avg: values }));
  const body = { from, to, step: (to - from) / points, agg: "envelope", series, complete: true, ...more };
  return { ok: true, json: async () => body };
}

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  history = new History();
  asked = [];
  signals = [];
  waiting = [];
  connected = true;
  draws = 0;
  past = new Past({
    history,
    now: () => Date.now(),
    onChange: () => {
      draws += 1;
    },
    random: () => 0.5,
    fetch: ((address: string, init: RequestInit) => {
      asked.push(new URL(address, "http://agent").searchParams);
      signals.push(init.signal as AbortSignal);
      return new Promise<unknown>((resolve) => waiting.push({ resolve }));
    }) as unknown as typeof fetch,
    connected: () => connected,
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const soon = () => vi.advanceTimersByTimeAsync(30);

test("charts that appear together ask together, for whole points", async () => {
  expect(past.want({}, want(["a", "b"])).phase).toBe("loading");
  expect(past.want({}, want(["b", "c"])).phase).toBe("loading");
  await soon();
  expect(asked.map((query) => query.getAll("metric"))).toEqual([["a", "b", "c"]]);
  const [query] = asked as [URLSearchParams];
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  expect([from % 10_000, to % 10_000]).toEqual([0, 0]);
  expect((to - from) / Number(query.get("points"))).toBe(10_000);
  expect(from).toBeLessThanOrEqual(START - 3_600_000);
  expect(to).toBeGreaterThan(START - 1);
});

test("what was answered is not asked again, and draws", async () => {
  const chart = {};
  past.want(chart, want(["a"]));
  await soon();
  waiting[0]?.resolve(answer(asked[0] as URLSearchParams));
  await soon();
  expect(draws).toBe(1);
  expect(past.want(chart, want(["a"])).phase).toBe("whole");
  await soon();
  expect(asked).toHaveLength(1);
});

test("a request that no chart wants any more is aborted, and one that another wants is not", async () => {
  const [one, other] = [{}, {}];
  past.want(one, want(["a"]));
  past.want(other, want(["a"]));
  await soon();
  past.release(one);
  expect(signals[0]?.aborted).toBe(false);
  past.want(other, want(["a"], 60_000, 1_000));
  expect(signals[0]?.aborted).toBe(true);
  await soon();
  expect(asked).toHaveLength(2);
  past.want(other, want(["a"]));
  expect(signals[1]?.aborted).toBe(true);
  await soon();
  expect(asked).toHaveLength(3);
});

test("a failure is told with the time of the next attempt, which then is made", async () => {
  const chart = {};
  past.want(chart, want(["a"]));
  await soon();
  waiting[0]?.resolve({ ok: false, status: 503 });
  await soon();
  const failed = past.want(chart, want(["a"]));
  expect(failed).toMatchObject({ phase: "failed", why: "the agent answered 503" });
  await soon();
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync((failed.phase === "failed" ? failed.retryAt : 0) - Date.now());
  past.want(chart, want(["a"]));
  await soon();
  expect(asked).toHaveLength(2);
  waiting[1]?.resolve(answer(asked[1] as URLSearchParams));
  await soon();
  expect(past.want(chart, want(["a"])).phase).toBe("whole");
});

test("an answer with points of another width is a failure, and nothing of it is drawn", async () => {
  past.want({}, want(["a"]));
  await soon();
  waiting[0]?.resolve(answer(asked[0] as URLSearchParams, { step: 60_000 }));
  await soon();
  expect(past.want({}, want(["a"]))).toMatchObject({
    phase: "failed",
    why: expect.stringContaining("60000"),
  });
  expect([...past.grid(10_000).linesOf("a")]).toEqual([]);
});

test("an answer that is not whole says why, until one is", async () => {
  const chart = {};
  past.want(chart, want(["a"]));
  await soon();
  waiting[0]?.resolve(
    answer(asked[0] as URLSearchParams, { complete: false, stopped: "an hour was damaged" }),
  );
  await soon();
  expect(past.incomplete(want(["a"]))).toBe("an hour was damaged");
  expect(past.incomplete(want(["b"]))).toBeNull();
});

test("after a restart all of it is asked for again, and what was on its way is not taken", async () => {
  const chart = {};
  past.want(chart, want(["a"]));
  await soon();
  past.begin(true);
  expect(signals[0]?.aborted).toBe(true);
  past.want(chart, want(["a"]));
  await soon();
  waiting[1]?.resolve(answer(asked[1] as URLSearchParams));
  await soon();
  past.begin(false);
  expect(past.want(chart, want(["a"])).phase).toBe("whole");
  past.begin(true);
  expect(past.want(chart, want(["a"])).phase).toBe("loading");
  await soon();
  expect(asked).toHaveLength(3);
});

test("the seconds around the beginning of live cost one more request, and then live is enough", async () => {
  const chart = {};
  const hear = () => {
    const data = { tier: "fast", collector: "c", up: true, table: 1, values: { fast: [1] } } as const;
    history.take(Date.now(), { ...data, values: { fast: [1] }, series: { fast: [["a", {}]] } });
  };
  const show = () => past.want(chart, want(["a"], 120_000, 1_000)).phase;
  hear();
  show();
  for (let tick = 0; tick < 60; tick += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    for (const [index, query] of asked.entries()) waiting[index]?.resolve(answer(query));
    await vi.advanceTimersByTimeAsync(0);
    hear();
    show();
  }
  expect(asked).toHaveLength(2);
  expect(Number(asked[1]?.get("points"))).toBeLessThan(12);
});

test("a clock that is set back leaves nothing to be believed", async () => {
  const chart = {};
  past.want(chart, want(["a"]));
  await soon();
  waiting[0]?.resolve(answer(asked[0] as URLSearchParams));
  await soon();
  vi.setSystemTime(START - 7_200_000);
  expect(past.want(chart, want(["a"])).phase).toBe("loading");
});

test("an agent that is not there is not asked", async () => {
  connected = false;
  expect(past.want({}, want(["a"])).phase).toBe("loading");
  await soon();
  expect(asked).toEqual([]);
  connected = true;
  past.want({}, want(["a"]));
  await soon();
  expect(asked).toHaveLength(1);
});
