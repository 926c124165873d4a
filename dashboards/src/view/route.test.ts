import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LIVE, type Range } from "../model/range";
import { parseRoute, range, routeHash, setRange, startRouting, zoomBack, zoomedFrom, zoomTo } from "./route";

test.each([
  ["", { view: "overview", section: null, range: LIVE }],
  ["#/", { view: "overview", section: null, range: LIVE }],
  ["#/system", { view: "system", section: null, range: LIVE }],
  ["#/system/Disk%20I%2FO", { view: "system", section: "Disk I/O", range: LIVE }],
  ["#/sys%tem", { view: "sys%tem", section: null, range: LIVE }],
  ["#/system?range=6h", { view: "system", section: null, range: { kind: "preset", name: "6h" } }],
  [
    "#/a/b?from=60000&to=120000",
    { view: "a", section: "b", range: { kind: "absolute", from: 60_000, to: 120_000 } },
  ],
])("%s", (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

test("a route comes back from its hash", () => {
  const shown: Range = { kind: "absolute", from: 60_000, to: 120_000 };
  expect(parseRoute(routeHash("a b", "c/d", shown))).toEqual({ view: "a b", section: "c/d", range: shown });
  expect(routeHash("system")).toBe("#/system");
});

const place = { hash: "" };
const page = new EventTarget();
beforeEach(() => {
  vi.stubGlobal("window", page);
  vi.stubGlobal("location", {
    get hash() {
      return place.hash;
    },
    set hash(hash: string) {
      place.hash = hash;
      page.dispatchEvent(new Event("hashchange"));
    },
  });
});
afterEach(() => vi.unstubAllGlobals());

test("zooms lead back the way they came, and the view stays", () => {
  place.hash = "#/system/CPU?range=1h";
  startRouting();
  const one: Range = { kind: "absolute", from: 60_000, to: 120_000 };
  const two: Range = { kind: "absolute", from: 70_000, to: 90_000 };
  zoomTo(one);
  zoomTo(two);
  zoomTo(two);
  expect(place.hash).toBe("#/system/CPU?from=70000&to=90000");
  expect(routeHash("overview")).toBe("#/overview?from=70000&to=90000");
  zoomBack();
  expect(range.value).toEqual(one);
  zoomBack();
  expect(place.hash).toBe("#/system/CPU?range=1h");
  zoomBack();
  expect(place.hash).toBe("#/system/CPU?range=1h");
  zoomTo(one);
  setRange({ kind: "preset", name: "5m" });
  expect(zoomedFrom.value).toEqual([]);
  setRange(one);
  zoomBack();
  expect(range.value).toEqual(LIVE);
});
