import { expect, test } from "vitest";
import { inputTime, parseInputTime } from "./input-time";

test("a moment comes back from an input to the second", () => {
  const at = new Date(2026, 10, 21, 9, 5, 7).getTime();
  expect(inputTime(at)).toBe("2026-11-21T09:05:07");
  expect(parseInputTime(inputTime(at))).toBe(at);
  expect(parseInputTime("2026-11-21T09:05")).toBe(at - 7_000);
});

test.each(["", "2026-11-21", "yesterday", "2026-13-41T99:00"])("%s is no moment", (text) => {
  expect(parseInputTime(text)).toBeNull();
});
