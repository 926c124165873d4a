/** Promise: the page shows this machine, live, and its figures are the kernel's. */
import { availableParallelism, hostname } from "node:os";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
import {
  openBrowser,
  openPage,
  type Reading,
  readings,
  screenshot,
  showChart,
  untilLive,
} from "./browser.ts";
import { drawing, inked } from "./canvas.ts";
import { type CpuTimes, cpuTimes, makeLoad, memoryBytes } from "./proc.ts";

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

test("the title names the host, and the components are up", async () => {
  expect((await page.title()).split(" · ")).toEqual([hostname(), "Barograph"]);
  await page.locator('[data-component="system"][data-up="true"]').waitFor();
});

/**
 * User time and not all use, because the latter stands still at 1 while something else keeps the machine busy.
 * On an idle machine free memory may stand still for seconds, so the load takes some.
 */
test.each([
  ["system_cpu_mode_ratio", '{"mode":"user"}'],
  ["system_memory_free_bytes", "{}"],
])("the chart of %s %s moves", async (metric, labels) => {
  const chart = await showChart(page, metric);
  const stopLoad = makeLoad();
  let found: Reading[];
  try {
    found = await readings(page, metric, 5, { labels });
  } finally {
    stopLoad();
  }
  expect(new Set(found.map((each) => each.value)).size).toBeGreaterThan(1);
  const drawn = await drawing(page, chart);
  const recent = inked(drawn, (found[0] as Reading).at, (found.at(-1) as Reading).at);
  expect(recent.columns).toBeGreaterThan(3);
  expect(recent.inked).toBeGreaterThan(recent.columns * 0.8);
});

/** Samples are 50 ms apart; free memory moves by this much between them while a browser runs, buffers hardly do. */
test.each([
  ["system_memory_free_bytes", "MemFree", 64 * 2 ** 20],
  ["system_memory_buffers_bytes", "Buffers", 2 ** 20],
])("%s is %s of /proc/meminfo", async (metric, field, slack) => {
  await showChart(page, metric);
  const samples: { at: number; value: number }[] = [];
  const sample = () => samples.push({ at: Date.now(), value: memoryBytes(field) });
  const found = await readings(page, metric, 5, { between: sample });
  // The first reading was collected before the first sample, so there is nothing to compare it with.
  for (const { at, value, text } of found.slice(1)) {
    const near = samples.filter((each) => Math.abs(each.at - at) <= 1_000).map((each) => each.value);
    expect(value).toBeGreaterThanOrEqual(Math.min(...near) - slack);
    expect(value).toBeLessThanOrEqual(Math.max(...near) + slack);
    expect(Math.abs(written(text).bytes - value)).toBeLessThanOrEqual(written(text).roundingBytes);
  }
});

/** Reads "1.25 GiB" back, with half of its last digit. */
function written(text: string): { bytes: number; roundingBytes: number } {
  const parts = /^(\d+)(?:\.(\d+))? ([KMGT]?)i?B$/.exec(text);
  if (!parts) throw new Error(`"${text}" is no amount of memory`);
  const [, whole = "", fraction = "", step = ""] = parts;
  const factor = 1024 ** " KMGT".indexOf(step || " ");
  return {
    bytes: Number(`${whole}.${fraction || "0"}`) * factor,
    roundingBytes: 0.5 * 10 ** -fraction.length * factor * (1 + 1e-9),
  };
}

test("the CPU's share agrees with /proc/stat over the same seconds to 0.05", async () => {
  await showChart(page, "system_cpu_busy_ratio");
  const stopLoad = makeLoad();
  const samples: CpuTimes[] = [];
  let found: Reading[];
  try {
    found = await readings(page, "system_cpu_busy_ratio", 9, { between: () => samples.push(cpuTimes()) });
  } finally {
    stopLoad();
  }
  // Each reading covers the time since the one before it; the first began before the samples did.
  const covered = found.slice(2);
  const nearest = (at: number) =>
    samples.reduce((best, each) => (Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best));
  const from = nearest((found[1] as Reading).at);
  const to = nearest((found.at(-1) as Reading).at);
  const kernel = (to.busy - from.busy) / (to.total - from.total);
  const shown = covered.reduce((sum, each) => sum + each.value, 0) / covered.length;
  expect(kernel).toBeGreaterThan(0.1 / availableParallelism());
  expect(Math.abs(shown - kernel)).toBeLessThan(0.05);
});

test("every topic with metrics has a view, and a table stands for each chart", async () => {
  await page.goto(`${agent.page}#/system`);
  const sections = page.locator("[data-chart]");
  await sections.first().waitFor();
  expect(await sections.count()).toBeGreaterThan(8);
  const first = sections.first();
  await first.getByRole("button", { name: /table/ }).click();
  await first.locator("table [data-metric][data-value]").first().waitFor();
  await first.getByRole("button", { name: /table/ }).click();
  await first.locator("canvas").waitFor();
  await screenshot(page, "system");
  await page.goto(`${agent.page}#/overview`);
  await untilLive(page);
  await screenshot(page, "overview");
});
