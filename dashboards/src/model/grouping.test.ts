import { describe, expect, test } from "vitest";
import type { Catalog, MetricDescriptor } from "../wire";
import { sectionsOf, topicsOf } from "./grouping";

function metric(name: string, change: Partial<MetricDescriptor> = {}): MetricDescriptor {
  return {
    name,
    topic: "t",
    plugin: "p",
    kind: "gauge",
    unit: "bytes",
    help: "",
    tier: "fast",
    labels: [],
    otel: null,
    chart: { section: "S", title: "A", style: "line", overview: false },
    series: [],
    ...change,
  };
}

function catalog(...metrics: MetricDescriptor[]): Catalog {
  return {
    version: "1",
    startedAt: 0,
    tiers: { fast: 1, medium: 5, slow: 30 },
    topics: [
      { topic: "empty", channel: "", event: "" },
      { topic: "t", channel: "", event: "" },
    ],
    metrics,
  };
}

const chart = (section: string, title: string, overview = false) =>
  ({ section, title, style: "line", overview }) as const;

describe("grouping", () => {
  test("keeps the catalog's order of sections and charts, and joins metrics of one title", () => {
    const sections = sectionsOf(
      catalog(
        metric("a", { chart: chart("Z", "1") }),
        metric("b", { chart: chart("A", "1") }),
        metric("c", { chart: chart("Z", "2") }),
        metric("d", { chart: chart("Z", "1", true), tier: "slow", labels: ["x"] }),
        metric("other", { topic: "elsewhere" }),
      ),
      "t",
    );
    expect(
      sections.map((section) => [
        section.name,
        section.charts.map((each) => each.metrics.map((m) => m.name)),
      ]),
    ).toEqual([
      ["Z", [["a", "d"], ["c"]]],
      ["A", [["b"]]],
    ]);
    expect(sections[0]?.charts[0]).toMatchObject({ key: "Z/1", overview: true, tier: "slow" });
  });

  test("values that cannot share an axis get a chart of their own", () => {
    const [section] = sectionsOf(
      catalog(metric("a"), metric("b", { kind: "counter" }), metric("c", { kind: "counter" }), metric("d")),
      "t",
    );
    expect(section?.charts.map((each) => [each.key, each.metrics.map((m) => m.name)])).toEqual([
      ["S/A", ["a", "d"]],
      ["S/A (bytes/s)", ["b", "c"]],
    ]);
  });

  test("a counter of seconds is a ratio, so it shares the axis of one", () => {
    const [section] = sectionsOf(
      catalog(metric("a", { unit: "ratio" }), metric("b", { unit: "seconds", kind: "counter" })),
      "t",
    );
    expect(section?.charts).toHaveLength(1);
  });

  test("style none and unit info are facts", () => {
    const [section] = sectionsOf(
      catalog(
        metric("a", { unit: "info" }),
        metric("b", { chart: { section: "S", title: "A", style: "none", overview: false } }),
      ),
      "t",
    );
    expect(section?.charts).toEqual([]);
    expect(section?.facts.map((facts) => facts.metrics.map((m) => m.name))).toEqual([["a", "b"]]);
  });

  test("a single slow value is a fact, several are a chart", () => {
    const [section] = sectionsOf(
      catalog(metric("a", { tier: "slow" }), metric("b", { tier: "slow", labels: ["mount"] })),
      "t",
    );
    expect(section?.facts.map((facts) => facts.metrics.map((m) => m.name))).toEqual([["a"]]);
    expect(section?.charts.map((each) => each.metrics.map((m) => m.name))).toEqual([["b"]]);
  });

  test("only topics with metrics have a view, and those of the overview come first", () => {
    expect(topicsOf(catalog(metric("a"), metric("b", { topic: "late" })))).toEqual(["t", "late"]);
    const shown = metric("b", { topic: "late", chart: chart("S", "B", true) });
    expect(topicsOf(catalog(metric("a"), shown))).toEqual(["late", "t"]);
  });
});
