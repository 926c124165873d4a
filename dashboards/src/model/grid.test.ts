import { describe, expect, test } from "vitest";
import type { ColumnsData, HistoryAnswer } from "../wire";
import { BUCKETS_MAX } from "./buckets";
import { Grid, SETTLE_MS } from "./grid";
import { History } from "./history";

const STEP = 10_000;

function heard(history: History, at: number, value: number, first = false): void {
  const data: ColumnsData = { tier: "fast", collector: "c", up: true, table: 1, values: { fast: [value] } };
  history.take(at, first ? { ...data, series: { fast: [["m", {}]] } } : data);
}

/** Live from `from` to `to`, every second, with the second as value. */
function live(from: number, to: number): History {
  const history = new History();
  for (let at = from; at <= to; at += 1_000) heard(history, at, at / 1_000, at === from);
  return history;
}

function answer(from: number, values: (number | null)[], labels = {}): HistoryAnswer {
  const series = {
    metric: "m",
    kind: "gauge",
    unit: "count",
    collector: "c",
    labels,
    min: values.map((value) => value && value - 1),
    avg: values,
    max: values.map((value) => value && value + 1),
  } as const;
  return {
    from,
    to: from + values.length * STEP,
    step: STEP,
    resolution: "raw",
    agg: "envelope",
    series: [series],
    complete: true,
  };
}

/** Takes an answer to exactly what it is about. */
function take(grid: Grid, told: HistoryAnswer, askedAt: number, metrics = ["m"]): void {
  grid.take(told, metrics, [told.from / STEP, told.to / STEP], askedAt);
}

function means(grid: Grid, from: number, to: number): (number | null)[] {
  const [line] = grid.linesOf("m");
  return Array.from({ length: to - from }, (_, index) => {
    const avg = line?.buckets.avg(from + index) ?? Number.NaN;
    return Number.isNaN(avg) ? null : avg;
  });
}

function grid(): Grid {
  const made = new Grid(STEP);
  made.hold(0, 40);
  return made;
}

describe("live samples", () => {
  test("make buckets whose first one stays in doubt", () => {
    const found = grid();
    const now = 45_000;
    found.fold(live(14_000, now), "m", "gauge", now);
    expect(means(found, 0, 6)).toEqual([null, 16.5, 24.5, 34.5, 42.5, null]);
    // The bucket from 10,000 on began before the page heard anything; that from 40,000 on is not over.
    expect(found.missing("m", 0, 10, now)).toEqual([0, 2]);
    expect(found.missing("m", 2, 10, now)).toBeNull();
  });

  test("that are not in the ring any more are asked for", () => {
    const found = grid();
    const history = live(0, 900_000);
    found.hold(0, 91);
    found.fold(history, "m", "gauge", 900_000);
    const missing = found.missing("m", 0, 91, 900_000);
    expect(missing?.[0]).toBe(0);
    expect((missing?.[1] ?? 0) * STEP).toBeGreaterThan(900_000 - 400_000);
    expect((missing?.[1] ?? 0) * STEP).toBeLessThan(900_000 - 300_000);
  });

  test("count as missed after a reconnection", () => {
    const found = grid();
    const history = live(4_000, 45_000);
    found.fold(history, "m", "gauge", 45_000);
    history.begin({ fast: 1_000, medium: 5_000, slow: 30_000 }, false);
    found.fold(history, "m", "gauge", 47_000);
    heard(history, 61_000, 61, true);
    found.fold(history, "m", "gauge", 75_000);
    // The bucket that runs comes along, since the answer may be all that is known of its first part.
    expect(found.missing("m", 1, 10, 75_000)).toEqual([4, 8]);
  });
});

describe("an answer", () => {
  test("fills the buckets that are over, and completes the running one with live", () => {
    const found = grid();
    const history = live(24_000, 25_000);
    take(found, answer(0, [5, null, 10]), 24_500);
    expect(means(found, 0, 4)).toEqual([5, null, 10, null]);
    found.fold(history, "m", "gauge", 25_000);
    // 4.5 seconds of history with a mean of 10, and half a second of live with 25.
    expect(means(found, 2, 3)[0]).toBeCloseTo(10 * 0.9 + 25 * 0.1, 9);
    const [line] = found.linesOf("m");
    expect([line?.buckets.min(2), line?.buckets.max(2)]).toEqual([9, 25]);
    expect(found.missing("m", 0, 3, 25_000)).toBeNull();
    expect(found.missing("m", 0, 9, 30_000 + SETTLE_MS)).toEqual([2, 4]);
  });

  test("has no seam with live: the same samples make the same buckets either way", () => {
    const all = grid();
    const history = live(0, 95_000);
    all.fold(history, "m", "gauge", 95_000);
    const joined = grid();
    joined.fold(live(44_000, 95_000), "m", "gauge", 95_000);
    const told = means(all, 0, 10);
    const missing = joined.missing("m", 1, 10, 95_000);
    expect(missing).toEqual([1, 5]);
    take(joined, answer(STEP, told.slice(1, 5)), 95_000);
    joined.fold(live(44_000, 95_000), "m", "gauge", 95_000);
    expect(means(joined, 1, 10)).toEqual(told.slice(1));
    expect(joined.missing("m", 1, 10, 95_000)).toBeNull();
  });

  test("does not change what is known, unless it is in doubt", () => {
    const found = grid();
    take(found, answer(0, [5, 6]), 100_000);
    take(found, answer(0, [7, null]), 100_000);
    expect(means(found, 0, 2)).toEqual([5, 6]);
    found.doubt();
    expect(means(found, 0, 2)).toEqual([5, 6]);
    expect(found.missing("m", 0, 2, 100_000)).toEqual([0, 2]);
    take(found, answer(0, [7, null]), 100_000);
    expect(means(found, 0, 2)).toEqual([7, null]);
  });

  test("without a series takes away what was believed of it", () => {
    const found = grid();
    take(found, answer(0, [5]), 100_000);
    found.doubt();
    take(found, { ...answer(0, [5]), series: [] }, 100_000);
    expect(means(found, 0, 1)).toEqual([null]);
    expect(found.missing("m", 0, 1, 100_000)).toBeNull();
  });

  test("that begins later than asked says that there was nothing before", () => {
    const found = grid();
    found.take(answer(5 * STEP, [5]), ["m"], [2, 6], 100_000);
    expect(means(found, 2, 6)).toEqual([null, null, null, 5]);
    expect(found.missing("m", 2, 6, 100_000)).toBeNull();
  });

  test("about another metric is left alone, and series are told apart by labels", () => {
    const found = grid();
    take(found, answer(0, [5]), 100_000, ["other"]);
    expect([...found.linesOf("m")]).toEqual([]);
    take(found, answer(0, [5], { cpu: "1" }), 100_000);
    found.doubt();
    take(found, answer(0, [6], { cpu: "2" }), 100_000);
    expect([...found.linesOf("m")].map((line) => line.labelsKey)).toEqual(['{"cpu":"1"}', '{"cpu":"2"}']);
  });
});

test("a window that moves on keeps what fits, forgets the rest, and asks for it again", () => {
  const found = grid();
  take(
    found,
    answer(
      0,
      Array.from({ length: 40 }, (_, index) => index),
    ),
    10_000_000,
  );
  found.hold(500, 540);
  expect(means(found, 30, 40)[9]).toBeNull();
  found.hold(0, 40);
  expect(found.missing("m", 0, 40, 10_000_000)).toEqual([0, 40]);
  expect(found.base).toBeGreaterThanOrEqual(0);
  found.hold(20, 20 + BUCKETS_MAX);
  expect(found.base).toBe(20);
});
