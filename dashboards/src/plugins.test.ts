import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Plugins } from "./plugins";

let plugins: Plugins;
let asked: ((answer: unknown) => void)[];
const page = { hidden: false };

beforeEach(() => {
  asked = [];
  page.hidden = false;
  vi.stubGlobal("document", page);
  vi.stubGlobal("fetch", () => new Promise((resolve) => asked.push(resolve)));
  plugins = new Plugins();
});
afterEach(() => vi.unstubAllGlobals());

/** Answers the nth reading. */
async function answer(nth: number, name: string): Promise<void> {
  asked[nth]?.({ ok: true, json: async () => ({ at: 1, plugins: [{ name }] }) });
  await settled();
}

const settled = () => new Promise((resolve) => setTimeout(resolve));
const names = () => plugins.all.value?.map((each) => each.name);

test("nothing is read while nobody looks, nor on a hidden page", async () => {
  plugins.begin();
  plugins.refresh();
  expect(asked).toHaveLength(0);
  page.hidden = true;
  const end = plugins.watch();
  plugins.refresh();
  expect(asked).toHaveLength(0);
  page.hidden = false;
  plugins.refresh();
  expect(asked).toHaveLength(1);
  await answer(0, "system");
  end();
  plugins.refresh();
  expect(asked).toHaveLength(1);
  expect(names()).toEqual(["system"]);
});

test("one reading at a time, and a new connection's replaces one that is on its way", async () => {
  plugins.watch();
  plugins.refresh();
  plugins.refresh();
  expect(asked).toHaveLength(1);
  plugins.begin();
  expect(asked).toHaveLength(2);
  await answer(1, "new");
  await answer(0, "old");
  expect(names()).toEqual(["new"]);
});

test("a failure is told until a reading succeeds, and what was known stays", async () => {
  plugins.watch();
  await answer(0, "system");
  plugins.refresh();
  asked[1]?.({ ok: false, status: 500 });
  await settled();
  expect(plugins.problem.value).toBe("the agent answered 500");
  expect(names()).toEqual(["system"]);
  plugins.refresh();
  await answer(2, "system");
  expect(plugins.problem.value).toBeNull();
});
