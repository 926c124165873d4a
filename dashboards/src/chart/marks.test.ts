import { expect, test } from "vitest";
import type { AlertInfo } from "../wire";
import { alertsOn, marksOf, NO_MARKS } from "./marks";

const FIRING: AlertInfo = {
  id: "a",
  rule: "a",
  state: "firing",
  severity: "critical",
  metric: "m",
  collector: "c",
  labels: {},
  value: 2,
  threshold: 1,
  comparison: "above",
  since: 10,
  firedAt: 20,
  resolvedAt: null,
  message: "",
};

test("what fires has a threshold and a moment; what is pending only a threshold", () => {
  expect(marksOf([FIRING], false, 99)).toEqual({
    thresholds: [{ value: 1, severity: "critical" }],
    moments: [{ at: 20, kind: "fired", severity: "critical" }],
  });
  expect(marksOf([{ ...FIRING, state: "pending", firedAt: null }], false, 99).moments).toEqual([]);
});

test("what is over has two moments and no threshold", () => {
  expect(marksOf([{ ...FIRING, state: "resolved", resolvedAt: 30 }], false, 99)).toEqual({
    thresholds: [],
    moments: [
      { at: 20, kind: "fired", severity: "critical" },
      { at: 30, kind: "resolved", severity: "critical" },
    ],
  });
});

test("a rule's alerts share its threshold, and a stack has none", () => {
  const two = [FIRING, { ...FIRING, id: "b", firedAt: 25 }];
  expect(marksOf(two, false, 99).thresholds).toHaveLength(1);
  expect(marksOf(two, true, 99)).toMatchObject({ thresholds: [], moments: [{ at: 20 }, { at: 25 }] });
  expect(marksOf([], false, 99)).toBe(NO_MARKS);
});

test("a window that ended before has no threshold", () => {
  expect(marksOf([FIRING], false, 10).thresholds).toEqual([]);
});

test("a chart has the alerts of its metrics", () => {
  expect(alertsOn([FIRING], new Map([["m", 1]]))).toEqual([FIRING]);
  expect(alertsOn([FIRING], new Map([["n", 1]]))).toEqual([]);
});
