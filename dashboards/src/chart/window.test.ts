import { describe, expect, test } from "vitest";
import { Buckets } from "../model/buckets";
import type { Line } from "../model/grid";
import type { Series } from "../model/history";
import { Track } from "../model/track";
import { cutWindow, isolatedRows, lastReading, readingAt, stack, sum, summarize } from "./window";

function seriesOn(track: Track, metric = "m"): Series {
  const column = track.addColumn();
  return { metric, labels: {}, labelsKey: "{}", collector: "c", track, column, sampledAt: 0 };
}

function filled(samples: [number, number | null][], track = new Track(1000, 60_000)): Series {
  const series = seriesOn(track);
  for (const [at, value] of samples) track.append(at, [[series.column, value]]);
  return series;
}

function line(from: number, values: (number | null)[]): Line {
  const buckets = new Buckets(from);
  values.forEach((avg, index) => {
    if (avg !== null) buckets.put(from + index, { min: avg - 1, avg, max: avg + 1 });
  });
  return { key: "k", metric: "m", collector: "c", labels: {}, labelsKey: "{}", buckets, base: null };
}

describe("the window", () => {
  const cut = { stepMs: 1_000, from: 10, to: 15, now: 20_000, intervalsMs: [1_000], envelope: false };

  test("has a point in the middle of each bucket, and a gap where buckets are empty", () => {
    const found = cutWindow([line(10, [1, null, null, 4, 5])], cut);
    expect(found.times).toEqual([10_500, 11_500, 12_500, 13_500, 14_500]);
    expect(found.values).toEqual([[1, null, null, 4, 5]]);
    expect(found.min).toEqual([]);
  });

  test("joins over one empty bucket, as a line of single samples is joined", () => {
    expect(cutWindow([line(10, [1, null, 3, null, null])], cut).values).toEqual([
      [1, undefined, 3, undefined, null],
    ]);
  });

  test("a slow series is joined over the buckets between its samples, and not over more", () => {
    const values = [1, null, null, null, null, 2];
    const slow = { ...cut, to: 16 };
    expect(cutWindow([line(10, values)], { ...slow, intervalsMs: [5_000] }).values).toEqual([
      [1, undefined, undefined, undefined, undefined, 2],
    ]);
    expect(cutWindow([line(10, values)], { ...slow, intervalsMs: [1_000] }).values).toEqual([
      [1, null, null, null, null, 2],
    ]);
  });

  test("wide buckets are joined to their neighbours only", () => {
    const wide = { ...cut, stepMs: 60_000, now: 2_000_000 };
    expect(cutWindow([line(10, [1, 2, null, 4, 5])], wide).values).toEqual([[1, 2, null, 4, 5]]);
  });

  test("the running bucket is not drawn in the future", () => {
    expect(cutWindow([line(10, [1, 2])], { ...cut, to: 12, now: 11_100 }).times).toEqual([10_500, 11_100]);
  });

  test("the envelope comes with it, and arrays are used again", () => {
    const into = cutWindow([line(10, [5]), line(10, [7])], { ...cut, to: 11, envelope: true });
    expect([into.min, into.values, into.max]).toEqual([
      [[4], [6]],
      [[5], [7]],
      [[6], [8]],
    ]);
    const times = into.times;
    expect(cutWindow([line(10, [5])], { ...cut, to: 11 }, into)).toEqual({
      times: [10_500],
      values: [[5]],
      min: [],
      max: [],
    });
    expect(into.times).toBe(times);
  });

  test("of nothing is empty", () => {
    expect(cutWindow([], cut).values).toEqual([]);
  });
});

test("a stack adds up, leaves gaps as gaps and holds values between two collectors", () => {
  const values = [
    [1, 2, null],
    [10, null, 30],
    [100, undefined, 300],
  ];
  stack(values);
  expect(values).toEqual([
    [1, 2, null],
    [11, null, 30],
    [111, 102, 330],
  ]);
});

test("a sum is absent only where nothing was sampled", () => {
  expect(
    sum([
      [1, null, null],
      [2, 3, undefined],
    ]),
  ).toEqual([3, 3, null]);
});

test("only samples without a neighbour are isolated", () => {
  expect(isolatedRows([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  expect(isolatedRows([null, 1, undefined, 2])).toEqual([]);
  expect(isolatedRows([null, 1, undefined, null])).toEqual([1]);
  expect(isolatedRows([])).toEqual([]);
});

describe("readings", () => {
  const series = filled([
    [1000, 1],
    [2000, 3],
  ]);
  test("are the newest sample, as long as it is current", () => {
    expect(readingAt(series, 2400, 2500)).toEqual({ value: 3, at: 2000 });
    expect(readingAt(series, 1500, 2500)).toEqual({ value: 1, at: 1000 });
    expect(readingAt(series, 4501, 2500)).toEqual({ value: null, at: 2000 });
    expect(readingAt(series, 999, 2500)).toBeNull();
  });
  test("a summary counts buckets with samples only", () => {
    expect(summarize(line(10, [1, null, 5]), 10, 13)).toEqual({ min: 0, avg: 3, max: 6 });
    expect(summarize(line(10, [1, null, 5]), 11, 12)).toBeNull();
    expect(summarize(line(10, []), 0, 100)).toBeNull();
  });
  test("the last reading is that of the newest bucket with a value in the stretch", () => {
    expect(lastReading(line(10, [1, null, 5, null]), 1_000, 10, 12)).toEqual({ value: 1, at: 10_000 });
    expect(lastReading(line(10, [1, null, 5, null]), 1_000, 10, 99)).toEqual({ value: 5, at: 12_000 });
    expect(lastReading(line(10, [1]), 1_000, 11, 99)).toBeNull();
  });
});
