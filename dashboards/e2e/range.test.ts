/** Promise: any stretch of time can be shown, by pointer and by keyboard, on all charts alike, and a link carries it. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
import { openBrowser, openPage, screenshot, showChart, untilLive } from "./browser.ts";
import { shownSpan, until, untilWhole } from "./past.ts";

const METRIC = "system_cpu_busy_ratio";
const OTHER = "system_memory_utilization_ratio";

let agent: Agent;
let browser: Browser;
let page: Page;
let complaints: string[];
let chart: string;
let other: string;
/** The stretch, the width of a point and the number of metrics of each request for history. */
let asked: { from: number; to: number; stepMs: number; metrics: number }[];

beforeAll(async () => {
  agent = await startAgent();
  browser = await openBrowser();
  ({ page, complaints } = await openPage(browser, agent.page));
  asked = [];
  page.on("request", (request) => {
    const address = new URL(request.url());
    if (!address.pathname.endsWith("/metrics/history")) return;
    const query = address.searchParams;
    const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
    const stepMs = (to - from) / Number(query.get("points"));
    asked.push({ from, to, stepMs, metrics: query.getAll("metric").length });
  });
  await untilLive(page);
  chart = await showChart(page, METRIC);
  other = await showChart(page, OTHER);
});
afterAll(async () => {
  await browser?.close();
  await agent?.stop();
});
beforeEach(() => {
  asked.length = 0;
});

const hash = () => page.evaluate(() => location.hash);

test.each([
  ["The last 5 minutes", "5m", 300_000, 1_000],
  ["The last 15 minutes", "15m", 900_000, 3_000],
  ["The last hour", "1h", 3_600_000, 10_000],
  ["The last 6 hours", "6h", 21_600_000, 60_000],
  ["The last 24 hours", "24h", 86_400_000, 300_000],
  ["Live: the last two minutes", "live", 120_000, 1_000],
])("%s", async (name, key, spanMs, stepMs) => {
  await page.getByRole("radio", { name }).check();
  await page.locator(`[data-range="range=${key}"]`).waitFor();
  await untilWhole(page, chart, stepMs);
  const span = await until(
    () => shownSpan(page, chart),
    (shown) => shown.to - shown.from === spanMs,
    `a window of ${spanMs} ms`,
  );
  expect(Math.abs(span.to - Date.now())).toBeLessThan(60_000);
  expect(await hash()).toBe(key === "live" ? "#/overview" : `#/overview?range=${key}`);
  // One request brings all charts on the screen, and its points are whole. One of the range before may be on its way.
  const own = asked.filter((each) => each.stepMs === stepMs);
  for (const { from, to } of own) expect([from % stepMs, to % stepMs]).toEqual([0, 0]);
  // Back at live the page has heard most of it: a chart that lacks a piece asks for that metric and no more.
  if (own.length > 0 && key !== "live")
    expect(Math.max(...own.map((each) => each.metrics))).toBeGreaterThan(3);
  for (const { from, to } of own) expect(to - from).toBeLessThanOrEqual(spanMs + 5 * stepMs);
  expect(asked.length).toBeLessThan(8);
});

test("the arrow keys move through the ranges", async () => {
  await page.getByRole("radio", { name: "The last 15 minutes" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.locator('[data-range="range=1h"]').waitFor();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.locator('[data-range="range=5m"]').waitFor();
});

test("a drag zooms all charts, a link carries it, and Escape leads back", async () => {
  await page.getByRole("radio", { name: "The last 15 minutes" }).check();
  await untilWhole(page, chart, 3_000);
  const before = await shownSpan(page, chart);
  const plot = page.locator(`[data-chart="${chart}"] .u-over`);
  await plot.scrollIntoViewIfNeeded();
  const box = (await plot.boundingBox()) as { x: number; y: number; width: number; height: number };
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.25, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, y, { steps: 6 });
  await page.mouse.move(box.x + box.width * 0.75, y, { steps: 6 });
  await screenshot(page, "zooming");
  await page.mouse.up();
  await page.locator('[data-range^="from="]').waitFor();
  await untilWhole(page, chart, 2_000);
  const zoomed = await shownSpan(page, chart);
  expect(Math.abs(zoomed.from - (before.from + 225_000))).toBeLessThan(20_000);
  expect(Math.abs(zoomed.to - (before.to - 225_000))).toBeLessThan(20_000);
  await page.locator(`[data-chart="${other}"]`).scrollIntoViewIfNeeded();
  await untilWhole(page, other, 2_000);
  expect(await shownSpan(page, other)).toEqual(zoomed);
  expect(await hash()).toBe(`#/overview?from=${zoomed.from}&to=${zoomed.to}`);
  await screenshot(page, "zoomed");

  const { page: linked } = await openPage(browser, page.url());
  await linked.locator('[data-connection="live"]').waitFor();
  const found = await until(
    () => shownSpan(linked, chart),
    (shown) => !Number.isNaN(shown.from),
    "a chart at the link",
  );
  expect(found).toEqual(zoomed);
  await linked.context().close();

  await page.keyboard.press("Escape");
  await page.locator('[data-range="range=15m"]').waitFor();
});

test("one crosshair stands on all charts", async () => {
  await page.locator(`[data-chart="${chart}"]`).scrollIntoViewIfNeeded();
  const times = page.locator("[data-chart] .chart-at");
  await page.locator(`[data-chart="${chart}"] .u-over`).hover({ position: { x: 200, y: 40 } });
  await page.locator(`[data-chart="${chart}"] .chart-at`).waitFor();
  const texts = await times.allTextContents();
  expect(texts.length).toBeGreaterThan(2);
  expect(new Set(texts).size).toBe(1);
  await page.mouse.move(2, 2);
});

test("two moments are typed in, earlier and later move by half, and a double click leads out", async () => {
  await page.getByRole("button", { name: "From … to …" }).click();
  const form = page.getByRole("form", { name: "From and to" });
  await form.getByLabel("From").fill("2026-03-01T10:00:00");
  await form.getByLabel("To").fill("2026-03-01T09:00:00");
  await form.getByRole("button", { name: "Show" }).click();
  expect(await form.getByRole("status").textContent()).toMatch(/must be 10 seconds after/);
  await form.getByLabel("To").fill("2026-03-01T11:00:00");
  await form.getByRole("button", { name: "Show" }).click();
  const at = (hour: number, minute = 0) => new Date(2026, 2, 1, hour, minute).getTime();
  await page.locator(`[data-range="from=${at(10)}&to=${at(11)}"]`).waitFor();
  await page.locator(`[data-chart="${chart}"] .chart-empty`).waitFor();
  expect(await page.locator(`[data-chart="${chart}"] .chart-empty`).textContent()).toMatch(
    /^(Loading|No samples)/,
  );
  await page.getByText("No samples from 2026-03-01 10:00:00 to 11:00:00").first().waitFor();
  await screenshot(page, "no-samples");
  await page.getByRole("button", { name: "Earlier" }).click();
  await page.locator(`[data-range="from=${at(9, 30)}&to=${at(10, 30)}"]`).waitFor();
  await page.getByRole("button", { name: "Later" }).click();
  await page.locator(`[data-range="from=${at(10)}&to=${at(11)}"]`).waitFor();
  await page.getByRole("button", { name: "Twice the time" }).click();
  await page.locator(`[data-range="from=${at(9, 30)}&to=${at(11, 30)}"]`).waitFor();
  await page.locator(`[data-chart="${chart}"] .u-over`).dblclick();
  await page.locator(`[data-range="from=${at(10)}&to=${at(11)}"]`).waitFor();
  for (let back = 0; back < 3; back += 1) await page.keyboard.press("Escape");
  await page.locator('[data-range="range=live"]').waitFor();
});

test("charts that are off the screen do not ask", async () => {
  const { page: fresh } = await openPage(browser, "about:blank", { viewport: { width: 1280, height: 420 } });
  const metrics = new Set<string>();
  fresh.on("request", (request) => {
    const address = new URL(request.url());
    if (!address.pathname.endsWith("/metrics/history")) return;
    for (const name of address.searchParams.getAll("metric")) metrics.add(name);
  });
  await fresh.goto(`${agent.page}#/system?range=1h`);
  await untilLive(fresh);
  const first = (await fresh.locator("[data-chart]").first().getAttribute("data-chart")) as string;
  await untilWhole(fresh, first, 10_000);
  expect(metrics.has(METRIC)).toBe(true);
  expect(metrics.has("system_disk_io_seconds_total")).toBe(false);
  await fresh.locator('[data-chart="Disk/Time spent"]').scrollIntoViewIfNeeded();
  await until(
    async () => [...metrics],
    (names) => names.includes("system_disk_io_seconds_total"),
    "a request for what came onto the screen",
  );
  await fresh.context().close();
});

test("nothing of all this was complained about", () => {
  expect(complaints).toEqual([]);
});
