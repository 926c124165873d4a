/** Promise: at a phone's width everything is there, and nothing has to be scrolled sideways. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
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
  ["overview", "overview"],
  ["system", "system"],
  ["overview", "overview?from=1770000000000&to=1770003600000"],
])("%s at 390 px: %s", async (view, hash) => {
  const { page } = await openPage(browser, `${agent.page}#/${hash}`, {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
  });
  if (hash === view) await untilLive(page);
  else
    await page
      .getByText(/^No samples from/)
      .first()
      .waitFor();
  const sizes = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    screen: document.documentElement.clientWidth,
    outside: [...document.querySelectorAll("main *")]
      .filter(
        (element) =>
          !element.closest(".scroll, .unseen") && element.getBoundingClientRect().right > innerWidth + 1,
      )
      .map((element) => element.outerHTML.slice(0, 120)),
  }));
  expect(sizes.outside).toEqual([]);
  expect(sizes.content).toBeLessThanOrEqual(sizes.screen);
  expect(sizes.screen).toBe(390);
  await page.locator('.status[data-connection="live"]').waitFor();
  await screenshot(page, `${hash === view ? view : "moments"}-phone`);
  await page.context().close();
});
