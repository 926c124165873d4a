import { expect, test } from "vitest";
import { alertSubject, durationText, ruleText } from "./alert-text";

test("the subject of an alert has its labels", () => {
  expect(alertSubject({ metric: "m", labels: { cpu: "0", mode: "user" }, collector: "system" })).toBe(
    "m · cpu 0 · mode user · by system",
  );
});

test("a rule says what it looks at", () => {
  const rule = { metric: "m", labels: {}, function: "last", windowMs: 0, comparison: "above" } as const;
  expect(ruleText(rule)).toBe("m above");
  expect(ruleText({ ...rule, function: "avg", windowMs: 300_000, labels: { cpu: "0" } })).toBe(
    "avg over 5 m of m · cpu 0 above",
  );
});

test.each([
  [0, "0 s"],
  [-5, "0 s"],
  [59_999, "59 s"],
  [60_000, "1 m"],
  [100_000, "1 m 40 s"],
  [300_000, "5 m"],
  [402_000, "6 m 42 s"],
  [3_600_000, "1 h"],
  [7_500_000, "2 h 5 m"],
])("%i ms are %s", (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
