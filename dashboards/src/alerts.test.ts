import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Alerts } from "./alerts";
import type { AlertInfo } from "./wire";

const NOW = 1_000_000;
let alerts: Alerts;
let reads: number;
let listed: AlertInfo[];
let listedAt: number;
let changes: number;

function alert(id: string, state: AlertInfo["state"], since = 1): AlertInfo {
  const times = { since, firedAt: since, resolvedAt: state === "resolved" ? since : null };
  const of = {
    rule: id,
    metric: "m",
    collector: "c",
    labels: {},
    comparison: "above",
    severity: "warning",
  } as const;
  return { id, state, value: 2, threshold: 1, message: "", ...of, ...times };
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  reads = 0;
  listed = [];
  listedAt = NOW;
  changes = 0;
  vi.stubGlobal("document", { hidden: false });
  vi.stubGlobal("fetch", async () => {
    reads += 1;
    const answer = { at: listedAt, alerts: listed, rules: [] };
    return { ok: true, json: async () => structuredClone(answer) };
  });
  alerts = new Alerts({
    onChange: () => {
      changes += 1;
    },
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const soon = () => vi.advanceTimersByTimeAsync(1);

test("the list is read when a connection begins, and sorted by state and time", async () => {
  listed = [
    alert("old", "resolved"),
    alert("p", "pending"),
    alert("f1", "firing", 5),
    alert("f2", "firing", 9),
  ];
  alerts.begin();
  expect(alerts.rules.value).toBeNull();
  await soon();
  expect(alerts.all.value.map((each) => each.id)).toEqual(["f2", "f1", "p", "old"]);
  expect(alerts.rules.value).toEqual([]);
  expect(changes).toBe(1);
});

test("an event replaces what was known, and an older list does not undo it", async () => {
  listed = [alert("a", "pending")];
  alerts.begin();
  await soon();
  alerts.take(alert("a", "firing"), NOW + 100);
  alerts.take(alert("b", "firing"), NOW + 100);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(reads).toBe(2);
  expect(alerts.firing.value.map((each) => each.id).sort()).toEqual(["a", "b"]);
  listedAt = NOW + 200;
  listed = [alert("a", "resolved")];
  await vi.advanceTimersByTimeAsync(5_000);
  expect(alerts.all.value.map(({ id, state }) => [id, state])).toEqual([["a", "resolved"]]);
});

test("values are read again while something is wrong, and seldom otherwise", async () => {
  listed = [alert("a", "firing")];
  alerts.begin();
  await vi.advanceTimersByTimeAsync(11_000);
  expect(reads).toBe(3);
  listed = [];
  await vi.advanceTimersByTimeAsync(5_000);
  const before = reads;
  await vi.advanceTimersByTimeAsync(50_000);
  expect(reads).toBe(before);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(reads).toBe(before + 1);
});

test("a list that cannot be read is a problem that is told, and tried again", async () => {
  const works = fetch;
  vi.stubGlobal("fetch", async () => ({ ok: false, status: 500 }));
  alerts.begin();
  await soon();
  expect(alerts.problem.value).toBe("the agent answered 500");
  vi.stubGlobal("fetch", works);
  await vi.advanceTimersByTimeAsync(31_000);
  expect(alerts.problem.value).toBeNull();
});
