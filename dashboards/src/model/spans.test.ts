import { expect, test } from "vitest";
import { Spans } from "./spans";

function spans(...members: [number, number][]): Spans {
  const found = new Spans();
  for (const [from, to] of members) found.add(from, to);
  return found;
}

test("spans that touch or overlap become one", () => {
  const found = spans([0, 2], [4, 6], [2, 4], [9, 9]);
  expect(found.missing(0, 6)).toBeNull();
  expect(found.missing(0, 7)).toEqual([6, 7]);
  expect([found.has(-1), found.has(0), found.has(5), found.has(6), found.has(9)]).toEqual([
    false,
    true,
    true,
    false,
    false,
  ]);
});

test.each<[[number, number][], [number, number], [number, number] | null]>([
  [[], [3, 8], [3, 8]],
  [[[0, 10]], [3, 8], null],
  [[[0, 4]], [3, 8], [4, 8]],
  [[[6, 10]], [3, 8], [3, 6]],
  [[[5, 6]], [3, 8], [3, 8]],
  [
    [
      [0, 4],
      [6, 9],
    ],
    [3, 8],
    [4, 6],
  ],
  [[[3, 8]], [3, 8], null],
  [[], [8, 3], null],
])("of %j, of %j is missing %j", (members, [from, to], missing) => {
  expect(spans(...members).missing(from, to)).toEqual(missing);
});

test("what lies outside is forgotten, and all of it when cleared", () => {
  const found = spans([0, 4], [6, 9]);
  found.keep(3, 7);
  expect([found.has(2), found.has(3), found.has(6), found.has(7)]).toEqual([false, true, true, false]);
  found.clear();
  expect(found.missing(3, 4)).toEqual([3, 4]);
});
