/** Promise: the page lives under the agent's strict content policy, loads nothing from elsewhere and complains of nothing. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Agent, startAgent } from "./agent.ts";
import { openBrowser, openPage, readings, showChart, untilLive } from "./browser.ts";

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

test("the policy is strict and nothing breaks it", async () => {
  const answer = await fetch(agent.page);
  const policy = answer.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'self'");
  expect(policy).not.toMatch(/unsafe-(inline|eval)|\*/);

  const { page, complaints } = await openPage(browser, agent.page);
  const hosts = new Set<string>();
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await untilLive(page);
  await showChart(page, "system_cpu_busy_ratio");
  await page.locator("[data-chart] .u-over").first().hover();
  await page.getByRole("button", { name: /theme/ }).click();
  await page.getByRole("button", { name: /palette/ }).click();
  await page.goto(`${agent.page}#/system`);
  await page.reload();
  await untilLive(page);
  await readings(page, "system_cpu_busy_ratio", 3);
  expect(complaints).toEqual([]);
  expect([...hosts]).toEqual([agent.address]);
});

test("no markup of the page needs an exception from the policy", async () => {
  const { page } = await openPage(browser, agent.page);
  await untilLive(page);
  const html = await (await fetch(agent.page)).text();
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=/i);
  const sources = await page.evaluate(() =>
    [...document.scripts].map((script) => new URL(script.src).pathname),
  );
  expect(sources.length).toBeGreaterThan(0);
  for (const source of sources) expect(source).toMatch(/^\/dashboard\/assets\/.+-[\w-]{8}\.js$/);
});
