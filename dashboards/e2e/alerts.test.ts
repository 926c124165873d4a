/** Promise: an alert is seen from pending to resolved, on the Overview and on the charts of its metric. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AlertsAnswer } from "../src/wire.ts";
import { type Agent, startAgent } from "./agent.ts";
import { openBrowser, openPage, screenshot, untilLive } from "./browser.ts";

const METRIC = "barograph_clients";
const CHART = "Agent/Clients";
/** A page is one client, and two are too many. */
const CONFIG = `
[[alerts.rules]]
name = "crowd"
metric = "${METRIC}"
function = "last"
comparison = "above"
warning = 1.5
for = "3s"
message = "{value} clients are a crowd"
`;

let agent: Agent;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  agent = await startAgent({ config: CONFIG });
  browser = await openBrowser();
  ({ page } = await openPage(browser, agent.page));
  await untilLive(page);
});
afterAll(async () => {
  await browser?.close();
  await agent?.stop();
});

const state = (name: string) => page.locator(`[data-rule="crowd"][data-state="${name}"]`);

async function told(): Promise<AlertsAnswer> {
  const answer = await fetch(new URL("/api/dashboard/alerts", agent.page));
  return (await answer.json()) as AlertsAnswer;
}

test("nothing fires at first, and the rules are there to read", async () => {
  await page.locator('[data-alerts="0"] .alerts-quiet').waitFor();
  await page.locator(".alerts-more summary").filter({ hasText: "rule" }).click();
  expect(await page.locator(".alerts-more tbody th").allTextContents()).toContain("crowd");
  expect((await told()).alerts.filter((alert) => alert.rule === "crowd")).toEqual([]);
});

test("an alert is pending, fires, is marked on its chart, and is over", async () => {
  const { page: second } = await openPage(browser, `${agent.page}#/agent`);
  await state("pending").waitFor();
  await state("firing").waitFor();
  const text = (await state("firing").textContent()) ?? "";
  expect(text).toContain("warning, firing");
  expect(text).toContain("2 is above 1.50");
  expect(text).toContain("2 clients are a crowd");
  expect(text).toMatch(/since \d\d:\d\d:\d\d \(\d+ s\)/);
  expect(await page.locator(".alert-badge").textContent()).toContain("1 firing");
  expect(await page.title()).toMatch(/^\(1\) /);
  const [alert] = (await told()).alerts.filter((each) => each.rule === "crowd");
  expect(alert).toMatchObject({ state: "firing", severity: "warning", value: 2, threshold: 1.5 });
  await screenshot(page, "alert-firing");

  await untilLive(second);
  const card = second.locator(`[data-chart="${CHART}"]`);
  await card.scrollIntoViewIfNeeded();
  await card.locator('.chart-alert[data-state="firing"]').waitFor();
  expect(await card.locator(".chart-alert").textContent()).toContain("crowd firing");
  const tone = await second.evaluate(() =>
    getComputedStyle(document.documentElement).getPropertyValue("--warn"),
  );
  await expect.poll(() => toned(second, tone), { timeout: 20_000 }).toBeGreaterThan(50);
  await screenshot(second, "alert-on-chart");
  await second.context().close();

  await state("resolved").waitFor({ state: "attached" });
  await page.locator('[data-alerts="0"]').waitFor();
  expect(await page.locator(".alert-badge").count()).toBe(0);
  await page.locator(".alerts-more summary").filter({ hasText: "Resolved" }).click();
  await state("resolved").waitFor();
  await page.goto(`${agent.page}#/agent`);
  await page.locator(`[data-chart="${CHART}"]`).scrollIntoViewIfNeeded();
  const good = await page.evaluate(() =>
    getComputedStyle(document.documentElement).getPropertyValue("--good"),
  );
  await expect.poll(() => toned(page, good), { timeout: 20_000 }).toBeGreaterThan(10);
  await screenshot(page, "alert-resolved");
});

/** How many pixels of the chart have a colour: that of a mark, which no line has. */
function toned(page: Page, color: string): Promise<number> {
  return page.evaluate(
    ([key, wanted]) => {
      const canvas = document.querySelector<HTMLCanvasElement>(`[data-chart="${CSS.escape(key)}"] canvas`);
      const context = canvas?.getContext("2d");
      if (!canvas || !context) return 0;
      const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(wanted.trim().slice(at, at + 2), 16));
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        const near = (part: number | undefined, byte: number) =>
          Math.abs((part ?? 0) - (data[at + byte] ?? 0)) < 24;
        if (near(red, 0) && near(green, 1) && near(blue, 2) && (data[at + 3] ?? 0) > 150) count += 1;
      }
      return count;
    },
    [CHART, color] as const,
  );
}
