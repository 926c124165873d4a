/** The agent's own word on the past, and how to read a chart's points off the page. */
import type { Page } from "playwright-core";
import type { HistoryAnswer, HistorySeries } from "../src/wire.ts";
import type { Agent } from "./agent.ts";
import { WAIT_MS } from "./browser.ts";

export interface Point {
  /** Start of the point. */
  at: number;
  value: number | null;
}

export async function askHistory(
  agent: Agent,
  metric: string,
  from: number,
  to: number,
  stepMs: number,
): Promise<HistoryAnswer> {
  const [first, end] = [Math.floor(from / stepMs) * stepMs, Math.ceil(to / stepMs) * stepMs];
  const query = new URLSearchParams({ metric, from: String(first), to: String(end) });
  query.set("points", String((end - first) / stepMs));
  const answer = await fetch(new URL(`/api/dashboard/metrics/history?${query}`, agent.page));
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as HistoryAnswer;
}

/** The means of the only series of a metric. */
export async function pointsOf(
  agent: Agent,
  metric: string,
  from: number,
  to: number,
  stepMs: number,
): Promise<Point[]> {
  const answer = await askHistory(agent, metric, from, to, stepMs);
  const [series] = answer.series as (HistorySeries | undefined)[];
  return (series?.avg ?? []).map((value, index) => ({ at: answer.from + index * answer.step, value }));
}

/** Until `holds` is true of what `ask` says. */
export async function until<T>(ask: () => Promise<T>, holds: (said: T) => boolean, what: string): Promise<T> {
  const limit = Date.now() + WAIT_MS;
  for (;;) {
    const said = await ask();
    if (holds(said)) return said;
    if (Date.now() > limit)
      throw new Error(`${what} did not come true: ${JSON.stringify(said).slice(0, 2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/**
 * Moves the crosshair over a chart, pixel by pixel, and notes each point's mean as it is shown. From right to left: what
 * is drawn moves left with time, so that points come towards the crosshair, and none slips past between two pixels.
 */
export async function crosshairPoints(
  page: Page,
  chart: string,
  metric: string,
  fromMs: number,
): Promise<Map<number, number>> {
  const section = page.locator(`[data-chart="${chart}"]`);
  await section.scrollIntoViewIfNeeded();
  const box = await section.locator(".u-over").boundingBox();
  if (!box) throw new Error(`${chart} has no plot`);
  const { from, to } = await shownSpan(page, chart);
  const found = new Map<number, number>();
  const first = Math.max(0, Math.floor(((fromMs - from) / (to - from)) * box.width) - 2);
  for (let x = Math.ceil(box.width) - 1; x >= first; x -= 1) {
    await page.mouse.move(box.x + x + 0.5, box.y + box.height / 2);
    const pointed = await section.evaluate((element, name) => {
      const value = element.querySelector<HTMLElement>(`[data-metric="${name}"]`);
      return value && { at: value.dataset.pointedAt, value: value.dataset.pointed };
    }, metric);
    if (pointed?.at && pointed.value) found.set(Number(pointed.at), Number(pointed.value));
  }
  await page.mouse.move(2, 2);
  return found;
}

/** The window that a chart drew last. */
export async function shownSpan(
  page: Page,
  chart: string,
): Promise<{ from: number; to: number; step: number }> {
  const section = page.locator(`[data-chart="${chart}"]`);
  const { from, to, step } = await section.evaluate((element) => ({ ...(element as HTMLElement).dataset }));
  return { from: Number(from), to: Number(to), step: Number(step) };
}

/** Until a chart draws points of that width, and nothing is on its way. */
export async function untilWhole(page: Page, chart: string, stepMs: number): Promise<void> {
  await page.locator(`[data-chart="${chart}"][data-step="${stepMs}"][data-past="whole"]`).waitFor();
}
