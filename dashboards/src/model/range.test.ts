import { describe, expect, test } from "vitest";
import {
  absolute,
  LIVE,
  narrowed,
  POINTS_MAX,
  PRESET_MS,
  PRESETS,
  parseRange,
  type Range,
  rangeLabel,
  rangeQuery,
  rangeText,
  SPAN_MAX_MS,
  shifted,
  spanOf,
  stepFor,
  widened,
  zoomed,
} from "./range";

const HOUR = 3_600_000;

test.each<[string, Range]>([
  ["", LIVE],
  ["range=live", LIVE],
  ["range=15m", { kind: "preset", name: "15m" }],
  ["range=2h", LIVE],
  ["from=60000&to=120000", { kind: "absolute", from: 60_000, to: 120_000 }],
  ["from=60400&to=119400", { kind: "absolute", from: 60_000, to: 120_000 }],
  ["from=120000&to=60000", LIVE],
  ["from=60000&to=61000", LIVE],
  ["from=&to=61000", { kind: "absolute", from: 0, to: 61_000 }],
  ["from=x&to=61000", LIVE],
  ["from=-5&to=61000", LIVE],
  ["from=60000", LIVE],
  [`from=0&to=${SPAN_MAX_MS + 1_000}`, LIVE],
])("the query %s", (query, range) => {
  expect(parseRange(new URLSearchParams(query))).toEqual(range);
});

test("every range comes back from its query", () => {
  const ranges: Range[] = [...PRESETS.map((name) => ({ kind: "preset", name }) as const)];
  for (const range of [...ranges, absolute(HOUR, 2 * HOUR) as Range]) {
    expect(parseRange(new URLSearchParams(rangeQuery(range)))).toEqual(range);
  }
});

describe("the width of a point", () => {
  test.each([
    [PRESET_MS.live, 1_000],
    [PRESET_MS["5m"], 1_000],
    [PRESET_MS["15m"], 3_000],
    [PRESET_MS["1h"], 10_000],
    [PRESET_MS["6h"], 60_000],
    [PRESET_MS["24h"], 300_000],
    [30 * 24 * HOUR, 2 * HOUR],
    [SPAN_MAX_MS, 48 * HOUR + 0],
    [10_000, 1_000],
  ])("of %s ms is %s ms", (spanMs, stepMs) => {
    expect(stepFor(spanMs)).toBe(stepMs);
  });

  test("keeps the number of points within bounds, and is whole as the agent's are", () => {
    for (let spanMs = 10_000; spanMs <= SPAN_MAX_MS; spanMs = Math.floor(spanMs * 1.07)) {
      const step = stepFor(spanMs);
      expect(spanMs / step).toBeLessThanOrEqual(POINTS_MAX + 10);
      expect(step % (step >= HOUR ? HOUR : step >= 60_000 ? 60_000 : 1_000)).toBe(0);
    }
  });

  test("is less than a second only where the agent samples faster", () => {
    expect(stepFor(10_000, 100)).toBe(100);
    expect(stepFor(10_000, 5_000)).toBe(1_000);
  });
});

describe("moving about", () => {
  const now = 100 * HOUR;
  const hour = absolute(10 * HOUR, 11 * HOUR) as Range;
  test("a drag is whole seconds, in either direction, and not too short", () => {
    expect(zoomed(90_500, 60_200)).toEqual({ kind: "absolute", from: 60_000, to: 91_000 });
    expect(zoomed(60_000, 60_010)).toEqual({ kind: "absolute", from: 55_000, to: 66_000 });
  });
  test("twice the time has the same middle, but does not reach beyond now", () => {
    expect(widened(hour, now)).toEqual({ kind: "absolute", from: 9.5 * HOUR, to: 11.5 * HOUR });
    expect(widened({ kind: "preset", name: "1h" }, now)).toEqual({
      kind: "absolute",
      from: 98 * HOUR,
      to: now,
    });
    const most = absolute(now - SPAN_MAX_MS + 2_000 + SPAN_MAX_MS, now + SPAN_MAX_MS) as Range;
    const wide = spanOf(widened(most, now + SPAN_MAX_MS), now);
    expect(wide.to - wide.from).toBeLessThanOrEqual(SPAN_MAX_MS);
  });
  test("half the time is the middle half, or the later one where time runs", () => {
    expect(narrowed(hour, now)).toEqual({ kind: "absolute", from: 10.25 * HOUR, to: 10.75 * HOUR });
    expect(narrowed({ kind: "preset", name: "1h" }, now)).toEqual({
      kind: "absolute",
      from: 99.5 * HOUR,
      to: now,
    });
    expect(narrowed(absolute(60_000, 72_000) as Range, now)).toEqual(absolute(59_000, 69_000));
  });
  test("earlier and later move by half", () => {
    expect(shifted(hour, now, -1)).toEqual({ kind: "absolute", from: 9.5 * HOUR, to: 10.5 * HOUR });
    expect(shifted(hour, now, 1)).toEqual({ kind: "absolute", from: 10.5 * HOUR, to: 11.5 * HOUR });
    expect(shifted(absolute(99 * HOUR, now) as Range, now, 1)).toEqual(absolute(99 * HOUR, now));
  });
});

test("a preset follows the clock", () => {
  expect(spanOf({ kind: "preset", name: "1h" }, 10 * HOUR)).toEqual({ from: 9 * HOUR, to: 10 * HOUR });
});

test("in words", () => {
  const noon = new Date(2026, 10, 21, 12).getTime();
  expect(rangeText({ kind: "preset", name: "1h" })).toBe("the last hour");
  expect(rangeText(absolute(noon, noon + HOUR) as Range)).toBe("2026-11-21 12:00:00 to 13:00:00");
  expect(rangeText(absolute(noon, noon + 24 * HOUR) as Range)).toBe(
    "2026-11-21 12:00:00 to 2026-11-22 12:00:00",
  );
  expect(rangeLabel({ from: noon, to: noon + HOUR }, noon)).toBe("12:00 – 13:00");
  expect(rangeLabel({ from: noon + 1_000, to: noon + 24 * HOUR }, noon + 48 * HOUR)).toBe(
    "11-21 12:00:01 – 11-22 12:00:00",
  );
});
