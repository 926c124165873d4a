/** Debian's Chromium, and a page in it whose console is watched: whatever it complains about fails the test that asks. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Generous, because the machine may be busy; a wait ends as soon as its condition holds. */
export const WAIT_MS = 45_000;

/** The user-data folder is a fresh temporary one: playwright makes it, and removes it on close. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

export interface WatchedPage {
  page: Page;
  /** Console errors and warnings, uncaught errors, failed or refused requests. */
  complaints: string[];
}

export async function openPage(
  browser: Browser,
  address: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
  });
  await page.goto(address);
  return { page, complaints };
}

/** Until the page is live and its first chart shows a number. */
export async function untilLive(page: Page): Promise<void> {
  await page.locator('[data-connection="live"]').waitFor();
  await page.locator("[data-chart] [data-metric][data-value]").first().waitFor();
}

export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.TEST_SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

export interface Reading {
  at: number;
  value: number;
  /** As the page writes it. */
  text: string;
}

/** What the page shows of one series at this moment; null when it shows no current value. */
export function reading(page: Page, metric: string, labels = "{}"): Promise<Reading | null> {
  return page.evaluate(
    ([name, wanted]) => {
      for (const element of document.querySelectorAll<HTMLElement>(
        "[data-chart] [data-metric][data-value]",
      )) {
        const { metric, labels, value, at } = element.dataset;
        if (metric === name && labels === wanted)
          return { at: Number(at), value: Number(value), text: element.textContent };
      }
      return null;
    },
    [metric, labels] as const,
  );
}

export interface ReadingOptions {
  /** As in `data-labels`. */
  labels?: string;
  /** Runs after each look at the page. */
  between?: () => void;
}

/** Readings of `count` different ticks, in order. */
export async function readings(
  page: Page,
  metric: string,
  count: number,
  options: ReadingOptions = {},
): Promise<Reading[]> {
  const found: Reading[] = [];
  const limit = Date.now() + WAIT_MS;
  while (found.length < count) {
    if (Date.now() > limit) throw new Error(`${metric} had ${found.length} readings, ${count} were wanted`);
    const next = await reading(page, metric, options.labels);
    if (next && next.at !== found.at(-1)?.at) found.push(next);
    options.between?.();
    await page.waitForTimeout(50);
  }
  return found;
}

/** Brings the chart that shows `metric` onto the screen, since only what is on it draws, and returns its key. */
export async function showChart(page: Page, metric: string): Promise<string> {
  const chart = page.locator("[data-chart]", { has: page.locator(`[data-metric="${metric}"]`) }).first();
  await chart.scrollIntoViewIfNeeded();
  return (await chart.getAttribute("data-chart")) as string;
}
