/** Promise: the page's past is the agent's, also over a crash: whole but for the downtime, with the same values. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, SAFE_MS, startAgent } from "./agent.ts";
import { openBrowser, openPage, screenshot, showChart, untilLive, WAIT_MS } from "./browser.ts";
import { crosshairPoints, type Point, pointsOf, until, untilWhole } from "./past.ts";

const METRIC = "system_memory_utilization_ratio";
/** What the range of an hour makes of a point. */
const STEP_MS = 10_000;
const HOUR_MS = 3_600_000;
/** Longer than two points, so that one at least is empty wherever they begin. */
const DOWN_MS = 25_000;
/** Half a minute of samples before the crash, the downtime, and half a minute after it, on a busy machine. */
const CRASH_MAX_MS = 300_000;

let agent: Agent;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  agent = await startAgent();
  browser = await openBrowser();
  ({ page } = await openPage(browser, `${agent.page}#/overview?range=1h`));
  await untilLive(page);
});
afterAll(async () => {
  await browser?.close();
  await agent?.stop();
});

const lastHour = (stepMs = STEP_MS) => pointsOf(agent, METRIC, Date.now() - HOUR_MS, Date.now(), stepMs);

/** The agent's points that are not on the page, or with another value. */
function differences(shown: Map<number, number>, known: Point[]) {
  return known
    .map((point) => ({ at: new Date(point.at).toISOString(), agent: point.value, page: shown.get(point.at) }))
    .filter(({ agent, page }) => page === undefined || Math.abs(page - (agent as number)) > 1e-9);
}

/** Reads a chart until each of these points is on it: the newest are fetched some seconds after they are whole. */
async function readUntilShown(on: Page, chart: string, fromMs: number, known: Point[]) {
  const limit = Date.now() + WAIT_MS;
  for (;;) {
    const shown = await crosshairPoints(on, chart, METRIC, fromMs);
    const wrong = differences(shown, known);
    if (wrong.length === 0) return shown;
    if (Date.now() > limit) expect(wrong, `of ${known.length} points`).toEqual([]);
  }
}

test(
  "after a crash the last hour is whole but for the downtime, and its values are the API's",
  async () => {
    const chart = await showChart(page, METRIC);
    const startedAt = Date.now();
    const enough = (points: Point[]) => {
      const known = points.filter((point) => point.value !== null);
      return (known.at(-1)?.at ?? 0) - (known[0]?.at ?? 0) >= 2 * STEP_MS + SAFE_MS;
    };
    const before = await until(lastHour, enough, "half a minute of history");
    await agent.kill("keep");
    const killedAt = Date.now();
    await page.locator('[data-connection="reconnecting"]').waitFor();
    await page.waitForTimeout(killedAt + DOWN_MS - Date.now());
    agent = await startAgent({ address: agent.address, folder: agent.folder });
    const restartedAt = Date.now();
    await page.locator('[data-connection="live"]').waitFor();
    const full = (points: Point[]) =>
      points.filter((each) => each.at >= restartedAt && each.value !== null).length > 2;
    await until(lastHour, full, "history after the restart");
    await untilWhole(page, chart, STEP_MS);

    const readAt = Date.now();
    const told = (await lastHour()).filter((point) => point.at < readAt - 2 * STEP_MS);
    const known = told.filter((point) => point.value !== null);
    expect(known.length).toBeGreaterThan(4);
    const shown = await readUntilShown(page, chart, startedAt - 60_000, known);
    await screenshot(page, "hour-after-crash");
    for (const [at] of shown) {
      if (at < readAt - 2 * STEP_MS) expect(known.map((point) => point.at)).toContain(at);
    }

    const kept = before.filter((point) => point.value !== null && point.at < killedAt - SAFE_MS - STEP_MS);
    expect(kept.length).toBeGreaterThan(0);
    expect(differences(shown, kept)).toEqual([]);
    const down = told.filter((point) => point.at > killedAt && point.at + STEP_MS < restartedAt);
    expect(down.length).toBeGreaterThan(0);
    for (const point of down) expect(shown.has(point.at)).toBe(false);
    const holes = told.filter(
      (point) =>
        point.at > startedAt &&
        point.value === null &&
        (point.at < killedAt - SAFE_MS - STEP_MS || point.at > restartedAt + STEP_MS),
    );
    expect(holes).toEqual([]);
  },
  CRASH_MAX_MS,
);

test("a page that is opened later shows the same past", async () => {
  const { page: later, complaints } = await openPage(browser, `${agent.page}#/overview?range=5m`);
  await untilLive(later);
  const chart = await showChart(later, METRIC);
  await untilWhole(later, chart, 1_000);
  const readAt = Date.now();
  const told = await pointsOf(agent, METRIC, readAt - 240_000, readAt - 4_000, 1_000);
  const known = told.filter((point) => point.value !== null);
  expect(known.length).toBeGreaterThan(30);
  await readUntilShown(later, chart, readAt - 240_000, known);
  expect(complaints).toEqual([]);
  await later.context().close();
});
