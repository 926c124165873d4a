import { expect, test } from "vitest";
import { statusText } from "./status-text";

const at = new Date(2026, 0, 2, 14, 3, 5).getTime();

test("each state says what is known, and since when", () => {
  expect(statusText({ phase: "connecting", since: at }, at).label).toBe("Connecting");
  expect(statusText({ phase: "live", since: at }, at)).toMatchObject({ label: "Live", detail: "" });
  expect(statusText({ phase: "stale", since: at }, at + 4_900)).toMatchObject({
    label: "Stale",
    detail: "since 14:03:05 (4 s)",
  });
  expect(statusText({ phase: "reconnecting", since: at, retryAt: at + 2_100 }, at)).toMatchObject({
    label: "Disconnected",
    detail: "since 14:03:05, retrying in 3 s",
  });
});

test("a retry that is due or under way is not counted down", () => {
  expect(statusText({ phase: "reconnecting", since: at, retryAt: null }, at).detail).toMatch(/retrying now$/);
  expect(statusText({ phase: "reconnecting", since: at, retryAt: at - 1 }, at).detail).toMatch(
    /retrying now$/,
  );
});

test("what is announced stays the same while the countdown runs", () => {
  const state = { phase: "reconnecting", since: at, retryAt: at + 9_000 } as const;
  expect(statusText(state, at + 1_000).announcement).toBe(statusText(state, at + 5_000).announcement);
});
