import { describe, expect, test } from "vitest";
import { displayUnit, type Unit } from "../format/units";
import { timeLabel, timeSplits, yRange, ySplits } from "./axis";

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
    expect(timeSplits(0, 3_000_000, 100)).toHaveLength(1);
    expect(timeSplits(60_000, 3_660_000, 420)).toEqual([900_000, 1_800_000, 2_700_000, 3_600_000]);
    expect(timeSplits(0, 10_000, 420)).toEqual([0, 2_000, 4_000, 6_000, 8_000, 10_000]);
  });

  test("has hours and days where the page's clock has them", () => {
    const midnight = new Date(2026, 10, 21).getTime();
    const hours = timeSplits(midnight - 1, midnight + 86_400_000, 420);
    expect(hours.map((at) => new Date(at).getHours())).toEqual([0, 6, 12, 18, 0]);
    expect(timeLabel(midnight, 86_400_000)).toBe("11-21");
    expect(timeLabel(midnight, 60_000)).toBe("00:00");
    expect(timeLabel(midnight + 90_000, 60_000)).toBe("00:01:30");
  });
});
