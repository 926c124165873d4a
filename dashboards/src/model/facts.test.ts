import { expect, test } from "vitest";
import type { MetricDescriptor } from "../wire";
import { type FactSource, layFacts } from "./facts";
import type { Labels } from "./labels";

function source(
  name: string,
  value: number | null,
  labels: Labels = {},
  unit: MetricDescriptor["unit"] = "bytes",
) {
  let metric = metrics.get(name);
  if (!metric) {
    metric = {
      name,
      topic: "t",
      plugin: "p",
      kind: "gauge",
      unit,
      help: "",
      tier: "slow",
      labels: Object.keys(labels),
      otel: null,
      chart: { section: "S", title: "T", style: "none", overview: false },
      series: [],
    };
    metrics.set(name, metric);
  }
  const made: FactSource = { metric, labels, labelsKey: JSON.stringify(labels), value };
  return made;
}
const metrics = new Map<string, MetricDescriptor>();

test("an info series is what its labels say", () => {
  const sheet = layFacts([source("host_info", 1, { cpu_model: "Z80", arch: "z80" }, "info")], "Host");
  expect(sheet).toEqual({
    list: [
      { name: "cpu model", text: "Z80", source: null },
      { name: "arch", text: "z80", source: null },
    ],
    grid: null,
  });
});

test("single values are named by what tells them apart", () => {
  const sheet = layFacts(
    [source("x_uptime_seconds", 90, {}, "seconds"), source("x_users", 2, {}, "count")],
    "Host",
  );
  expect(sheet.list.map((each) => [each.name, each.text])).toEqual([
    ["uptime seconds", "90.0 s"],
    ["users", "2"],
  ]);
});

test("metrics that share their labels make a grid, with holes where a value is missing", () => {
  const sheet = layFacts(
    [
      source("fs_size_bytes", 2048, { mount: "/" }),
      source("fs_free_bytes", 1024, { mount: "/" }),
      source("fs_size_bytes", 4096, { mount: "/tmp" }),
    ],
    "Space",
  );
  expect(sheet.grid?.columns).toEqual(["size", "free"]);
  expect(sheet.grid?.rows.map((row) => [row.name, row.cells.map((cell) => cell?.text ?? null)])).toEqual([
    ["/", ["2.00 KiB", "1.00 KiB"]],
    ["/tmp", ["4.00 KiB", null]],
  ]);
});

test("an absent value says so", () => {
  expect(layFacts([source("lonely", null)], "Lonely").list[0]).toMatchObject({ name: "Lonely", text: "–" });
});

test("one metric with two labels makes a grid of them", () => {
  const sheet = layFacts(
    [
      source("time", 1, { cpu: "0", mode: "user" }),
      source("time", 2, { cpu: "0", mode: "idle" }),
      source("time", 3, { cpu: "1", mode: "idle" }),
    ],
    "Time",
  );
  expect(sheet.grid?.columns).toEqual(["user", "idle"]);
  expect(sheet.grid?.rows.map((row) => [row.name, row.cells.map((cell) => cell?.text ?? null)])).toEqual([
    ["cpu 0", ["1 B", "2 B"]],
    ["cpu 1", [null, "3 B"]],
  ]);
});
