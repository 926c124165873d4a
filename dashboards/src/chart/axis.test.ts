import { describe, expect, test } from "vitest";
import { displayUnit, type Unit } from "../format/units";
import { timeSplits, yRange, ySplits } from "./axis";

const unit = (name: Unit) => displayUnit({ unit: name, kind: "gauge" });

describe("the y axis", () => {
  test.each<[number | null, number | null, Unit, number, number]>([
    [null, null, "count", 0, 1],
    [0, 0, "bytes", 0, 1024],
    [0, 3, "count", 0, 3],
    [0, 3.1, "count", 0, 4],
    [0, 990, "count", 0, 1000],
    [0, 2.01, "ratio", 0, 2],
    [0, 2.1, "ratio", 0, 3],
    [0, 0.003, "ratio", 0, 0.04],
    [0, 0.31, "ratio", 0, 0.4],
    [0, 0.9, "ratio", 0, 1],
    [0, 1, "ratio", 0, 1],
    [0, 1.4, "ratio", 0, 2],
    [0, 5 * 2 ** 30, "bytes", 0, 6 * 2 ** 30],
    [0, 7 * 2 ** 30, "bytes", 0, 8 * 2 ** 30],
    [0, 23.5 * 2 ** 30, "bytes", 0, 24 * 2 ** 30],
    [-3, 1, "count", -3, 3],
    [-3, -1, "count", -3, 0],
  ])("from %s to %s %s is %s to %s", (low, high, name, min, max) => {
    expect(yRange(low, high, unit(name))).toEqual({ min, max });
  });

  test("has a line at each end and one in the middle", () => {
    expect(ySplits({ min: -4, max: 4 })).toEqual([-4, 0, 4]);
  });
});

describe("the time axis", () => {
  test("has round times, fewer where there is less room", () => {
    expect(timeSplits(1_000, 61_000, 400)).toEqual([15_000, 30_000, 45_000, 60_000]);
    expect(timeSplits(1_000, 301_000, 400)).toEqual([120_000, 240_000]);
    expect(timeSplits(1_000, 301_000, 600)).toEqual([60_000, 120_000, 180_000, 240_000, 300_000]);
    expect(timeSplits(0, 3_000_000, 100)).toHaveLength(11);
  });
});
