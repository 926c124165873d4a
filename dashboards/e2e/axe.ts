/** What axe finds wrong with a page. */
import axe from "axe-core";
import type { Page } from "playwright-core";

/** Serious and critical findings. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // The devtools protocol may run what the page's own policy would not load.
  await page.evaluate(axe.source);
  const results = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
  return results.violations
    .filter((violation) => violation.impact === "serious" || violation.impact === "critical")
    .flatMap((violation) =>
      violation.nodes.map((node) => `${violation.id}: ${node.html} ${node.failureSummary ?? ""}`),
    );
}
