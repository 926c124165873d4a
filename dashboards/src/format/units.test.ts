import { describe, expect, test } from "vitest";
import type { MetricDescriptor } from "../wire";
import { displayUnit, formatSeconds, formatTick, formatValue, type Unit } from "./units";

type Kind = MetricDescriptor["kind"];

const of = (unit: Unit, kind: Kind = "gauge") => displayUnit({ unit, kind });

describe("values", () => {
  test.each<[number | null, Unit, Kind, string]>([
    [0, "bytes", "gauge", "0 B"],
    [1023, "bytes", "gauge", "1023 B"],
    [1024, "bytes", "gauge", "1.00 KiB"],
    [8_241_000_000, "bytes", "gauge", "7.68 GiB"],
    [2 ** 80, "bytes", "gauge", "1048576 EiB"],
    [1536, "bytes", "counter", "1.50 KiB/s"],
    [0.1234, "ratio", "gauge", "12.3 %"],
    [1, "ratio", "gauge", "100 %"],
    [0.00012, "ratio", "gauge", "0.01 %"],
    [0.5, "seconds", "counter", "50.0 %"],
    [0.0123, "seconds", "gauge", "12.3 ms"],
    [2_400_000_000, "hertz", "gauge", "2.40 GHz"],
    [45.06, "celsius", "gauge", "45.1 °C"],
    [999.96, "packets", "counter", "1.00 kpackets/s"],
    [12, "operations", "counter", "12.0 ops/s"],
    [1234, "count", "gauge", "1\u2009234"],
    [0.41, "count", "gauge", "0.41"],
    [9.2e18, "count", "gauge", "9.20 E"],
    [51.2, "count", "counter", "51.2 /s"],
    [-1536, "bytes", "gauge", "-1.50 KiB"],
    [null, "bytes", "gauge", "–"],
    [Number.NaN, "count", "gauge", "–"],
  ])("%s %s %s is %s", (value, unit, kind, text) => {
    expect(formatValue(value, of(unit, kind))).toBe(text);
  });
});

describe("durations", () => {
  test.each([
    [0, "0 s"],
    [0.000_05, "50.0 µs"],
    [3.4, "3.40 s"],
    [119, "119 s"],
    [125, "2 m 5 s"],
    [7_500, "2 h 5 m"],
    [200_000, "2 d 7 h"],
    [-125, "-2 m 5 s"],
  ])("%s s is %s", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
  test("a point in time is a date", () => {
    expect(formatSeconds(1_795_000_000)).toMatch(/^2026-11-1\d \d\d:\d\d:\d\d$/);
  });
});

describe("axis labels", () => {
  test.each<[number, Unit, Kind, string]>([
    [0, "bytes", "gauge", "0"],
    [4 * 2 ** 30, "bytes", "gauge", "4 GiB"],
    [0.5, "ratio", "gauge", "50 %"],
    [0.025, "ratio", "gauge", "2.5 %"],
    [1, "ratio", "gauge", "100 %"],
    [100, "count", "gauge", "100"],
    [0.5, "count", "gauge", "0.5"],
    [2_000, "packets", "counter", "2 k/s"],
    [60, "celsius", "gauge", "60 °C"],
  ])("%s %s %s is %s", (value, unit, kind, text) => {
    expect(formatTick(value, of(unit, kind))).toBe(text);
  });
});
