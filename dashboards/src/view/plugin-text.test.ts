import { expect, test } from "vitest";
import { formatClock } from "../format/units";
import type { PluginInfo } from "../wire";
import {
  collectText,
  faultText,
  lossesText,
  memoryText,
  phaseText,
  processText,
  refusalText,
  reloadText,
  restartsText,
  seriesText,
  stateText,
  toneOf,
  versionText,
} from "./plugin-text";

const AT = 1_763_719_200_000;

test.each([
  ["running", null, "good"],
  ["running", "2 series were refused", "warn"],
  ["starting", null, "soft"],
  ["waiting", "was ended by signal 9", "bad"],
  ["open", "keeps failing", "bad"],
  ["stuck", null, "bad"],
  ["refused", "is world-writable", "bad"],
] as const)("%s with %s is %s", (phase, error, tone) => {
  expect(toneOf({ phase, error })).toBe(tone);
});

test.each([
  ["running", null, "running"],
  ["waiting", AT + 2_500, "down, next start in 3 s"],
  ["waiting", AT, "down, next start now"],
  ["open", AT + 299_500, "keeps failing, next start in 5 m"],
  ["refused", null, "refused"],
] as const)("%s until %s: %s", (phase, nextStartAt, text) => {
  expect(phaseText({ phase, nextStartAt }, AT)).toBe(text);
});

test("who it is and where it runs", () => {
  expect(versionText({ name: "system", plugin: "system", version: "0.1.0" })).toBe("0.1.0");
  expect(versionText({ name: "main", plugin: "redis", version: "1.2" })).toBe("of redis 1.2");
  expect(versionText({ name: "main", plugin: "main", version: null })).toBe("version not known");
  expect(processText({ isolation: "process", pid: 4711 })).toBe("process 4711");
  expect(processText({ isolation: "thread", pid: null })).toBe("thread");
});

test("figures stand beside their limits, where there are limits", () => {
  expect(memoryText({ rssBytes: 3 << 20, rssMaxBytes: 512 << 20 })).toBe("3.00 MiB of 512 MiB");
  expect(memoryText({ rssBytes: 3 << 20, rssMaxBytes: null })).toBe("3.00 MiB");
  expect(memoryText({ rssBytes: null, rssMaxBytes: 512 << 20 })).toBe("– of 512 MiB");
  expect(memoryText({ rssBytes: 0, rssMaxBytes: null })).toBe("–");
  expect(collectText({ collectMs: 3.21, timeoutMs: 800 })).toBe("3.21 ms of 800 ms");
  expect(collectText({ collectMs: null, timeoutMs: 8_000 })).toBe("– of 8.00 s");
  expect(seriesText({ series: 137, seriesMax: 1_000 })).toBe("137 of 1\u2009000");
});

test("restarts name their reasons, the most frequent first", () => {
  expect(restartsText({})).toBe("0");
  expect(restartsText({ killed: 0 })).toBe("0");
  expect(restartsText({ deadline: 1, killed: 2 })).toBe("3: killed 2, deadline 1");
});

test("faults and changes have their times", () => {
  const clock = formatClock(AT);
  expect(faultText({ at: AT, reason: "killed", message: "was ended by signal 9" })).toBe(
    `${clock} killed: was ended by signal 9`,
  );
  expect(reloadText({ reload: null })).toBe("–");
  expect(reloadText({ reload: { at: AT, outcome: "switched", reason: null } })).toBe(`switched ${clock}`);
});

test("a good time begins after the last fault", () => {
  const faults = [{ at: AT + 3_600_000, reason: "refused", message: "the source does not answer" }];
  const good = (at: number) => `Nothing has been wrong since ${formatClock(at)}.`;
  expect(stateText({ error: null, since: AT, faults: [] })).toBe(good(AT));
  expect(stateText({ error: null, since: AT, faults })).toBe(good(AT + 3_600_000));
  // It was started again after that one.
  expect(stateText({ error: null, since: AT + 3_601_000, faults })).toBe(good(AT + 3_601_000));
  expect(stateText({ error: "was ended by signal 9", since: AT, faults })).toBe("was ended by signal 9");
});

test("a refused change is told once", () => {
  const reload = { at: AT, outcome: "refused", reason: "no such key" };
  const told = "The change was refused, what ran before goes on: no such key";
  expect(refusalText({ reload, error: "the source does not answer" })).toBe(told);
  expect(refusalText({ reload, error: "goes on as before: no such key" })).toBeNull();
  expect(refusalText({ reload: { ...reload, outcome: "switched" }, error: null })).toBeNull();
  expect(refusalText({ reload: null, error: null })).toBeNull();
});

test("only what was lost is told", () => {
  const none = { deadlinesMissed: 0, ticksMissed: 0, seriesDropped: 0, refused: 0 };
  expect(lossesText(none as PluginInfo)).toBe("");
  expect(lossesText({ ...none, deadlinesMissed: 2, refused: 1_234 } as PluginInfo)).toBe(
    "2 deadlines missed, 1\u2009234 refused",
  );
});
