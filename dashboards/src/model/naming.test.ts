import { expect, test } from "vitest";
import { type Nameable, seriesNames } from "./naming";

test("metrics of one chart are told apart by the words that differ", () => {
  const members = ["x_memory_used_bytes", "x_memory_free_bytes"].map((metric) => ({ metric, labels: {} }));
  expect(seriesNames(members, "Memory")).toEqual(["used", "free"]);
});

test("labels that differ are named, and numbers say what they number", () => {
  const members: Nameable[] = [
    { metric: "m", labels: { cpu: "0", host: "a" } },
    { metric: "m", labels: { cpu: "1", host: "a" } },
    { metric: "m", labels: { host: "a" } },
  ];
  expect(seriesNames(members, "CPU use")).toEqual(["cpu 0", "cpu 1", "CPU use"]);
});

test("metrics and labels together", () => {
  const members = [
    { metric: "io_read_bytes_total", labels: { device: "sda" } },
    { metric: "io_written_bytes_total", labels: { device: "sda" } },
    { metric: "io_read_bytes_total", labels: { device: "sdb" } },
  ];
  expect(seriesNames(members, "I/O")).toEqual(["read · sda", "written · sda", "read · sdb"]);
});

test("a single series is named by its labels, or else by the title", () => {
  expect(seriesNames([{ metric: "m", labels: {} }], "Load")).toEqual(["Load"]);
  expect(seriesNames([{ metric: "m", labels: { mount: "/" } }], "Space")).toEqual(["/"]);
});

test("one metric's name may begin another's", () => {
  const members = ["load", "load_5"].map((metric) => ({ metric, labels: {} }));
  expect(seriesNames(members, "Load")).toEqual(["Load", "5"]);
});

test("a value that two labels share is said once", () => {
  const members = [
    { metric: "m", labels: { plugin: "system", instance: "system" } },
    { metric: "m", labels: { plugin: "database", instance: "main" } },
  ];
  expect(seriesNames(members, "Up")).toEqual(["system", "database · main"]);
});
