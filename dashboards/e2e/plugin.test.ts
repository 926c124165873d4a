/** Promise: a plugin that hangs is shown as down and its values as gone, and both come back without a hand. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
import { openBrowser, openPage, reading, readings, screenshot, showChart, untilLive } from "./browser.ts";
import { childrenOf } from "./proc.ts";

const METRIC = "system_cpu_busy_ratio";

let agent: Agent;
let browser: Browser;
let page: Page;
let stopped: number[] = [];

beforeAll(async () => {
  agent = await startAgent();
  browser = await openBrowser();
  ({ page } = await openPage(browser, agent.page));
  await untilLive(page);
});
afterAll(async () => {
  // The agent kills a plugin that hangs; if it did not, the test has failed and must still not leave one behind.
  for (const pid of stopped) {
    try {
      process.kill(pid, "SIGCONT");
    } catch {
      // It is gone, as it should be.
    }
  }
  await browser?.close();
  await agent?.stop();
});

test("a plugin's process is stopped", async () => {
  await showChart(page, METRIC);
  await readings(page, METRIC, 3);
  stopped = childrenOf(agent.pid, "plugin-host");
  expect(stopped.length).toBeGreaterThan(0);

  const gone = page.locator('[data-component="system"]:not([data-health="up"])').waitFor();
  const absent = page.locator(`[data-metric="${METRIC}"]:not([data-value])`).waitFor();
  // A replacement is there within a second, which a busy browser can miss; so each one is stopped as well until the
  // page has shown it.
  const stop = () => {
    for (const pid of childrenOf(agent.pid, "plugin-host")) {
      try {
        process.kill(pid, "SIGSTOP");
      } catch {
        // The agent was faster.
        continue;
      }
      if (!stopped.includes(pid)) stopped.push(pid);
    }
  };
  stop();
  const stopping = setInterval(stop, 100);
  await Promise.all([gone, absent]).finally(() => clearInterval(stopping));
  await screenshot(page, "plugin-down");
  expect(await page.locator(".status").getAttribute("data-connection")).toBe("live");

  await page.locator('[data-component="system"][data-health="up"]').waitFor();
  const back = await readings(page, METRIC, 3);
  expect(back.at(-1)).toEqual(await reading(page, METRIC));
  expect(childrenOf(agent.pid, "plugin-host").some((pid) => !stopped.includes(pid))).toBe(true);
});
