/** Promise: the page says when the agent is gone, comes back by itself, and draws the time between as a gap. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, SAFE_MS, startAgent } from "./agent.ts";
import {
  openBrowser,
  openPage,
  type Reading,
  readings,
  screenshot,
  showChart,
  untilLive,
  WAIT_MS,
} from "./browser.ts";
import { drawing, inked } from "./canvas.ts";

const METRIC = "system_cpu_busy_ratio";
/** Wide enough on the canvas to be told from the width of a line. */
const GAP_MS = 8_000;

let agent: Agent;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  agent = await startAgent();
  browser = await openBrowser();
  ({ page } = await openPage(browser, agent.page));
  await untilLive(page);
});
afterAll(async () => {
  await browser?.close();
  await agent?.stop();
});

test("an agent that is killed and started again", async () => {
  const chart = await showChart(page, METRIC);
  const [first] = (await readings(page, METRIC, 1)) as [Reading];
  let before = first;
  while (before.at < first.at + SAFE_MS + 5_000) before = (await readings(page, METRIC, 1))[0] as Reading;
  const started = await page.locator(".host").textContent();
  await agent.kill("keep");

  const status = page.locator('[data-connection="reconnecting"]');
  await status.waitFor();
  expect(await status.locator(".status-label").textContent()).toBe("Disconnected");
  expect(await status.locator(".status-detail").textContent()).toMatch(
    /^since \d\d:\d\d:\d\d, retrying (in \d+ s|now)$/,
  );
  expect(await page.title()).toMatch(/^\(disconnected\)/);
  expect(await page.locator('[data-component="system"]').getAttribute("data-health")).toBe("unknown");
  await page.waitForFunction(
    ([key, until]) => {
      const section = document.querySelector<HTMLElement>(`[data-chart="${CSS.escape(key)}"]`);
      return Number(section?.dataset.to) > until;
    },
    [chart, before.at + GAP_MS] as const,
    { timeout: WAIT_MS },
  );
  await screenshot(page, "disconnected");

  const restartedAt = Date.now();
  agent = await startAgent({ address: agent.address, folder: agent.folder });
  await page.locator('[data-connection="live"]').waitFor();
  const after = await readings(page, METRIC, 4);
  expect(await page.locator(".host").textContent()).not.toBe(started);

  const drawn = await drawing(page, chart);
  const from = before.at + 500;
  const to = restartedAt;
  const gap = inked(drawn, from, to);
  expect(gap.columns).toBeGreaterThan(3);
  expect(gap.inked).toBe(0);
  const kept = inked(drawn, first.at, before.at - SAFE_MS);
  expect(kept.columns).toBeGreaterThan(3);
  expect(kept.inked).toBeGreaterThan(kept.columns * 0.8);
  expect(inked(drawn, (after[0] as Reading).at, (after.at(-1) as Reading).at).inked).toBeGreaterThan(0);
  await screenshot(page, "reconnected");
});
