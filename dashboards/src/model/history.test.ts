import { describe, expect, test } from "vitest";
import type { ColumnsData } from "../wire";
import { History, type Series, WINDOW_MS } from "./history";

type TierTables = NonNullable<ColumnsData["series"]>;
type TierValues = ColumnsData["values"];

const TIERS = { fast: 1000, medium: 5000, slow: 30_000 };

function frame(table: number, values: TierValues, series?: TierTables, collector = "c"): ColumnsData {
  return { tier: "fast", collector, up: true, table, values, ...(series ? { series } : {}) };
}

function values(series: Series | undefined): (number | null)[] {
  if (!series) return [];
  return Array.from({ length: series.track.length }, (_, row) => {
    const value = series.track.valueAt(series.column, row);
    return Number.isNaN(value) ? null : value;
  });
}

describe("history", () => {
  test("values go to the series that the table names at their place", () => {
    const history = new History();
    const table: TierTables = {
      fast: [
        ["m", { b: "2", a: "1" }],
        ["n", {}],
      ],
      slow: [["s", {}]],
    };
    expect(history.take(1000, frame(1, { fast: [1, 2], slow: [3] }, table))).toEqual(["m", "n", "s"]);
    expect(history.take(2000, frame(1, { fast: [4, null] }))).toEqual([]);
    expect(history.of("m")[0]?.labelsKey).toBe('{"a":"1","b":"2"}');
    expect(values(history.of("m")[0])).toEqual([1, 4]);
    expect(values(history.of("n")[0])).toEqual([2, null]);
    expect(values(history.of("s")[0])).toEqual([3]);
    expect(history.of("n")[0]?.sampledAt).toBe(1000);
  });

  test("a new table keeps the lines of the series that stay, whatever their place", () => {
    const history = new History();
    history.take(
      1000,
      frame(
        1,
        { fast: [1, 2] },
        {
          fast: [
            ["m", { a: "1" }],
            ["m", { a: "2" }],
          ],
        },
      ),
    );
    history.take(2000, frame(2, { fast: [20] }, { fast: [["m", { a: "2" }]] }));
    const [first, second] = history.of("m");
    expect(values(first)).toEqual([1, null]);
    expect(values(second)).toEqual([2, 20]);
  });

  test("a frame of an unknown table is not guessed at", () => {
    const history = new History();
    history.take(1000, frame(1, { fast: [1] }, { fast: [["m", {}]] }));
    history.take(2000, frame(2, { fast: [5] }));
    expect(values(history.of("m")[0])).toEqual([1]);
  });

  test("a new connection forgets tables but not samples, and a restart breaks the line", () => {
    const history = new History();
    history.take(1000, frame(1, { fast: [1] }, { fast: [["m", {}]] }));
    history.begin(TIERS, true);
    history.take(1500, frame(1, { fast: [9] }));
    history.take(2000, frame(1, { fast: [2] }, { fast: [["m", {}]] }));
    expect(values(history.of("m")[0])).toEqual([1, null, 2]);
  });

  test("two collectors of one metric have tracks of their own", () => {
    const history = new History();
    history.take(1000, frame(1, { fast: [1] }, { fast: [["m", { i: "a" }]] }, "a"));
    history.take(1200, frame(1, { fast: [2] }, { fast: [["m", { i: "b" }]] }, "b"));
    expect(history.of("m").map((series) => series.collector)).toEqual(["a", "b"]);
    expect(history.of("m")[0]?.track).not.toBe(history.of("m")[1]?.track);
  });

  test("series that left the table and the window are let go", () => {
    const history = new History();
    history.take(1000, frame(1, { fast: [1] }, { fast: [["m", { pid: "1" }]] }));
    const later = 1000 + WINDOW_MS + 1;
    history.take(later, frame(2, { fast: [1] }, { fast: [["m", { pid: "2" }]] }));
    expect(history.of("m").map((series) => series.labels.pid)).toEqual(["2"]);
  });
});
