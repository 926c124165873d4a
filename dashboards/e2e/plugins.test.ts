/** Promise: the view of the plugins names what is wrong with each and what went wrong, and shows that it is over. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
import { seriousFindings } from "./axe.ts";
import { openBrowser, openPage, screenshot } from "./browser.ts";
import { childrenOf } from "./proc.ts";

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

let agent: Agent;
let browser: Browser;

beforeAll(async () => {
  agent = await startAgent({ config: '[plugins.absent]\npath = "/nowhere/libabsent.so"\n' });
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await agent?.stop();
});

/** The view, once it shows both plugins as they have to be. */
async function openPlugins(options: Parameters<typeof openPage>[2] = {}): Promise<Page> {
  const { page } = await openPage(browser, `${agent.page}#/plugins`, { reducedMotion: "reduce", ...options });
  await page.locator('[data-plugin="system"][data-phase="running"][data-tone="good"]').waitFor();
  await page.locator('[data-plugin="absent"][data-phase="refused"]').waitFor();
  return page;
}

test("a library that is missing is named, and so is a kill that is over", async () => {
  const page = await openPlugins();
  const absent = page.locator('[data-plugin="absent"]');
  await absent.getByText("/nowhere/libabsent.so").first().waitFor();
  expect(await absent.getAttribute("data-tone")).toBe("bad");

  const system = page.locator('[data-plugin="system"]');
  const figure = (name: string) => system.locator(`[data-figure="${name}"]`);
  const [before] = childrenOf(agent.pid, "plugin-host");
  expect(await figure("isolation").textContent()).toBe(`process ${before}`);
  expect(await figure("restarts").textContent()).toBe("0");
  await expectText(page, "series", /^\d+ of \d/);
  await expectText(page, "memory", /^[\d.]+ [KM]iB of 512 MiB$/);
  await expectText(page, "collect", /^[\d.]+ .?s of 800 ms$/);

  process.kill(before as number, "SIGKILL");
  await system.locator('[data-figure="restarts"]', { hasText: "1: killed 1" }).waitFor();
  await page.locator('[data-plugin="system"][data-phase="running"][data-tone="good"]').waitFor();
  await system
    .getByText(/signal 9/)
    .first()
    .waitFor();
  const [after] = childrenOf(agent.pid, "plugin-host");
  expect(after).not.toBe(before);
  await system.locator('[data-figure="isolation"]', { hasText: `process ${after}` }).waitFor();
  expect(await figure("restarts").textContent()).toBe("1: killed 1");

  await system.locator(".plugin-faults summary").click();
  await system.locator('[data-fault="killed"]').waitFor();
  expect(await system.locator("[data-fault]").count()).toBe(1);
  await system.locator(".plugin-more summary").click();
  await screenshot(page, "plugins");
  await page.context().close();
});

async function expectText(page: Page, name: string, pattern: RegExp): Promise<void> {
  const figure = page.locator(`[data-plugin="system"] [data-figure="${name}"]`);
  await figure.filter({ hasText: pattern }).waitFor();
}

test.each(["light", "dark"] as const)("axe on the plugins, %s, with everything open", async (colorScheme) => {
  const page = await openPlugins({ colorScheme });
  for (const summary of await page.locator(".plugin summary").all()) await summary.click();
  expect(await seriousFindings(page)).toEqual([]);
  await screenshot(page, `plugins-${colorScheme}`);
  await page.context().close();
});

test("at 390 px nothing has to be scrolled sideways", async () => {
  const page = await openPlugins(PHONE);
  for (const summary of await page.locator(".plugin summary").all()) await summary.click();
  const widths = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    outside: [...document.querySelectorAll("main *")]
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
      .map((element) => element.outerHTML.slice(0, 120)),
  }));
  expect(widths).toEqual({ content: 390, outside: [] });
  await screenshot(page, "plugins-phone");
  await page.context().close();
});

test("figures that change move nothing", async () => {
  const page = await openPlugins();
  const shifts = await page.evaluate(async () => {
    let sum = 0;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) sum += (entry as unknown as { value: number }).value;
    });
    observer.observe({ type: "layout-shift" });
    const collect = document.querySelector('[data-plugin="system"] [data-figure="collect"]');
    const seen = new Set<string | null | undefined>();
    while (seen.size < 4) {
      seen.add(collect?.textContent);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    observer.disconnect();
    return sum;
  });
  expect(shifts).toBe(0);
  await page.context().close();
});
