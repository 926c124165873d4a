// Holds a Chromium open. For each round it opens an empty page, says "ready", takes an address as a
// line, and answers with the milliseconds from the beginning of the navigation until a chart's
// legend showed a value. It ends with its input.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// playwright-core belongs to the page's packages; this is run in the page's folder.
const { chromium } = createRequire(`${process.cwd()}/`)("playwright-core");
const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
const addresses = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
for (;;) {
  const context = await browser.newContext();
  const page = await context.newPage();
  console.log("ready");
  const { value: address, done } = await addresses.next();
  if (done) break;
  await page.goto(address, { waitUntil: "commit" });
  const drawn = await page.waitForFunction(
    () => {
      const value = document.querySelector("[data-chart] [data-value]")?.getAttribute("data-value");
      return value ? performance.now() : false;
    },
    undefined,
    { polling: "raf", timeout: 20_000 },
  );
  console.log(await drawn.jsonValue());
  await context.close();
}
await browser.close();
