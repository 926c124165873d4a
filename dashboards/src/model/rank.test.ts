import { expect, test } from "vitest";
import { rankSeries } from "./rank";

const weights = (values: Record<string, number>) => (item: string) => values[item] ?? Number.NaN;

test("all are shown, in order, when they fit", () => {
  const ranked = rankSeries(["a", "b"], weights({ a: 1, b: 2 }), 2, new Map());
  expect(ranked).toEqual({
    shown: [
      { item: "a", place: 0 },
      { item: "b", place: 1 },
    ],
    rest: [],
  });
});

test("the largest are shown; those without a value come last", () => {
  const ranked = rankSeries(["a", "b", "c", "d"], weights({ a: 1, c: 5, d: -9 }), 2, new Map());
  expect(ranked.shown.map((each) => each.item)).toEqual(["c", "d"]);
  expect(ranked.rest).toEqual(["a", "b"]);
});

test("who stays keeps the place, who comes takes the free one", () => {
  const places = new Map<string, number>();
  rankSeries(["a", "b", "c"], weights({ a: 3, b: 2, c: 1 }), 2, places);
  const ranked = rankSeries(["a", "b", "c"], weights({ a: 1, b: 2, c: 3 }), 2, places);
  expect(ranked.shown).toEqual([
    { item: "b", place: 1 },
    { item: "c", place: 0 },
  ]);
});

test("equal weights keep the order", () => {
  const ranked = rankSeries(["a", "b", "c"], () => 0, 2, new Map());
  expect(ranked.shown.map((each) => each.item)).toEqual(["a", "b"]);
});
