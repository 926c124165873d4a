import { describe, expect, test } from "vitest";
import type { Series } from "../model/history";
import { Track } from "../model/track";
import { cutWindow, isolatedRows, readingAt, stack, sum, summarize } from "./window";

function seriesOn(track: Track, metric = "m"): Series {
  const column = track.addColumn();
  return { metric, labels: {}, labelsKey: "{}", collector: "c", track, column, sampledAt: 0 };
}

function filled(samples: [number, number | null][], track = new Track(1000, 60_000)): Series {
  const series = seriesOn(track);
  for (const [at, value] of samples) track.append(at, [[series.column, value]]);
  return series;
}

describe("the window", () => {
  test("keeps one row left of its edge and none right of it", () => {
    const series = filled([
      [1000, 1],
      [2000, 2],
      [3000, null],
      [4000, 4],
    ]);
    expect(cutWindow([series], 2500, 3500)).toEqual({ times: [2000, 3000], values: [[2, null]] });
  });

  test("series of two collectors are aligned, and absence by alignment is not a gap", () => {
    const a = filled([
      [1000, 1],
      [2000, null],
    ]);
    const b = filled([
      [1200, 7],
      [2200, 8],
    ]);
    expect(cutWindow([a, b], 0, 5000)).toEqual({
      times: [1000, 1200, 2000, 2200],
      values: [
        [1, undefined, null, undefined],
        [undefined, 7, undefined, 8],
      ],
    });
  });

  test("arrays are used again, whatever was in them", () => {
    const series = filled([
      [1000, 1],
      [2000, 2],
    ]);
    const into = cutWindow([series, series], 0, 5000);
    const times = into.times;
    expect(cutWindow([series], 1500, 1800, into)).toEqual({ times: [1000], values: [[1]] });
    expect(into.times).toBe(times);
  });

  test("of nothing is empty", () => {
    expect(cutWindow([], 0, 1)).toEqual({ times: [], values: [] });
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
  test("a summary counts samples only", () => {
    const gappy = filled([
      [1000, 1],
      [2000, null],
      [3000, 5],
    ]);
    expect(summarize(gappy, 0)).toEqual({ min: 1, avg: 3, max: 5 });
    expect(summarize(gappy, 3001)).toBeNull();
  });
});
