import { expect, test } from "vitest";
import { parseRoute, routeHash } from "./route";

test.each([
  ["", { view: "overview", section: null }],
  ["#/", { view: "overview", section: null }],
  ["#/system", { view: "system", section: null }],
  ["#/system/Disk%20I%2FO", { view: "system", section: "Disk I/O" }],
  ["#/sys%tem", { view: "sys%tem", section: null }],
])("%s", (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

test("a route comes back from its hash", () => {
  expect(parseRoute(routeHash("a b", "c/d"))).toEqual({ view: "a b", section: "c/d" });
  expect(routeHash("system")).toBe("#/system");
});
