import { describe, expect, test } from "vitest";
import { backoffDelayMs, requestedDelayMs } from "./backoff";

describe("backoff", () => {
  test.each([
    [0, 1_000],
    [1, 2_000],
    [4, 16_000],
    [5, 30_000],
    [5_000, 30_000],
  ])("the ceiling of attempt %i is %i ms", (attempt, ceiling) => {
    expect(backoffDelayMs(attempt, 0.999_999)).toBe(ceiling);
    expect(backoffDelayMs(attempt, 0.5)).toBe(ceiling / 2);
    expect(backoffDelayMs(attempt, 0)).toBe(0);
  });
});

describe("the delay that the agent asks for", () => {
  test("is read from a 1001 close", () => {
    expect(requestedDelayMs(1001, '{"reconnectAfterMs":2500}')).toBe(2500);
  });
  test.each([
    [1006, '{"reconnectAfterMs":2500}'],
    [1001, ""],
    [1001, "bye"],
    [1001, "null"],
    [1001, '{"reconnectAfterMs":"soon"}'],
    [1001, '{"reconnectAfterMs":-1}'],
  ])("is absent from %i %s", (code, reason) => {
    expect(requestedDelayMs(code, reason)).toBeNull();
  });
  test("is bounded", () => {
    expect(requestedDelayMs(1001, '{"reconnectAfterMs":1e12}')).toBe(300_000);
  });
});
