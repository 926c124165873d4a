/** Promise: axe finds nothing serious, in light and in dark, and the page works by keyboard. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
import { seriousFindings } from "./axe.ts";
import { openBrowser, openPage, screenshot, untilLive } from "./browser.ts";

let agent: Agent;
let browser: Browser;

beforeAll(async () => {
  agent = await startAgent();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await agent?.stop();
});

test.each([
  ["light", "overview"],
  ["dark", "overview"],
  ["light", "system"],
  ["dark", "system"],
] as const)("axe on %s %s", async (colorScheme, view) => {
  const { page } = await openPage(browser, `${agent.page}#/${view}`, {
    colorScheme,
    reducedMotion: "reduce",
  });
  await untilLive(page);
  expect(await seriousFindings(page)).toEqual([]);
  await screenshot(page, `${view}-${colorScheme}`);
  await page.context().close();
});

test.each(["light", "dark"] as const)("axe on what opens, %s", async (colorScheme) => {
  const config = `
[[alerts.rules]]
name = "always"
metric = "system_uptime_seconds"
function = "last"
comparison = "above"
critical = 0
[[alerts.rules]]
name = "soon"
metric = "system_cpus"
function = "last"
comparison = "above"
warning = 0
for = "1h"
`;
  const alarmed = await startAgent({ config });
  try {
    const { page } = await openPage(browser, `${alarmed.page}#/overview?range=1h`, {
      colorScheme,
      reducedMotion: "reduce",
    });
    await untilLive(page);
    await page.locator('[data-rule="always"][data-state="firing"]').waitFor();
    await page.locator('[data-rule="soon"][data-state="pending"]').waitFor();
    await page.locator(".alerts-more summary").last().click();
    await page.getByRole("button", { name: "From … to …" }).click();
    await page.getByRole("form", { name: "From and to" }).waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await screenshot(page, `open-${colorScheme}`);
    await page.keyboard.press("Escape");
    await page.getByRole("form", { name: "From and to" }).waitFor({ state: "detached" });
    await page.context().close();
  } finally {
    await alarmed.stop();
  }
});

test("the theme is chosen by keyboard, and remembered", async () => {
  const { page } = await openPage(browser, agent.page, { colorScheme: "light" });
  await untilLive(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  const button = page.getByRole("button", { name: /theme/ });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.locator('html[data-theme="dark"]').waitFor();
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  await untilLive(page);
  expect(await ground()).toBe(dark);
  expect(await seriousFindings(page)).toEqual([]);
  await page.context().close();
});
