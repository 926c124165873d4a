import { expect, test } from "vitest";
import { fold, foldOnto } from "./fold";
import type { Series } from "./history";
import { Track } from "./track";

function series(samples: [number, number | null][]): Series {
  const track = new Track(1_000, 60_000);
  const column = track.addColumn();
  for (const [at, value] of samples) track.append(at, [[column, value]]);
  return { metric: "m", labels: {}, labelsKey: "{}", collector: "c", track, column, sampledAt: 0 };
}

test("a gauge's bucket is the plain mean of the samples from its start up to its end", () => {
  const found = series([
    [9_999, 100],
    [10_000, 1],
    [11_000, null],
    [12_000, 3],
    [13_000, 100],
  ]);
  expect(fold(found, false, 10_000, 13_000)).toEqual({ min: 1, avg: 2, max: 3 });
  expect(fold(found, false, 11_000, 12_000)).toBeNull();
  expect(fold(found, false, 20_000, 21_000)).toBeNull();
});

test("a counter's rates count for the time that they cover", () => {
  const found = series([
    [10_000, 0],
    [11_000, 10],
    [13_000, 40],
  ]);
  // 10 over one second and 80 over two.
  expect(fold(found, true, 11_000, 14_000)?.avg).toBe(30);
});

test("equal values keep their value to the last bit", () => {
  const found = series([0.1, 0.1, 0.1].map((value, index) => [index * 1_000, value]));
  expect(fold(found, false, 0, 3_000)).toEqual({ min: 0.1, avg: 0.1, max: 0.1 });
});

test("a bucket told in part by history and in part by live is their mean by time", () => {
  const live = { min: 4, avg: 10, max: 12 };
  const base = { min: 1, avg: 2, max: 20, untilMs: 15_000 };
  expect(foldOnto(base, live, 10_000, 20_000)).toEqual({ min: 1, avg: 6, max: 20 });
  expect(foldOnto(null, live, 10_000, 20_000)).toBe(live);
  expect(foldOnto(base, null, 10_000, 20_000)).toBe(base);
});
