/**
 * Lays out metrics that are shown as text: what an "info" series says in its labels, single values, and a grid where
 * several metrics share their labels (such as size and free space by mount) or one metric has two. Pure.
 */
import { displayUnit, formatValue } from "../format/units";
import type { MetricDescriptor } from "../wire";
import type { Labels } from "./labels";
import { distinctStems, seriesNames } from "./naming";

export interface FactSource {
  metric: MetricDescriptor;
  labels: Labels;
  labelsKey: string;
  value: number | null;
}

export interface Fact {
  name: string;
  text: string;
  /** What it was read from; null for a label of an info series, which has no value of its own. */
  source: FactSource | null;
}

export interface FactGrid {
  columns: string[];
  rows: { name: string; cells: (Fact | null)[] }[];
}

export interface FactSheet {
  list: Fact[];
  grid: FactGrid | null;
}

export function layFacts(sources: readonly FactSource[], title: string): FactSheet {
  const info = sources.filter((source) => source.metric.unit === "info");
  const list: Fact[] = info.flatMap((source) =>
    Object.entries(source.labels).map(([name, text]) => ({ name: spaced(name), text, source: null })),
  );
  const rest = sources.filter((source) => source.metric.unit !== "info");
  const metrics = [...new Set(rest.map((source) => source.metric))];
  const labelled = rest.some((source) => source.labelsKey !== "{}");
  if (labelled && metrics.length > 1) return { list, grid: layGrid(rest, metrics) };
  if (metrics.length === 1) {
    const grid = pivot(rest);
    if (grid) return { list, grid };
  }
  const names = seriesNames(
    rest.map((source) => ({ metric: source.metric.name, labels: source.labels })),
    title,
  );
  rest.forEach((source, index) => {
    list.push(fact(names[index] as string, source));
  });
  return { list, grid: null };
}

function layGrid(sources: readonly FactSource[], metrics: readonly MetricDescriptor[]): FactGrid {
  const stems = distinctStems(metrics.map((metric) => metric.name));
  const columns = metrics.map((metric) => stems.get(metric.name) || spaced(metric.name));
  const byLabels = new Map<string, FactSource[]>();
  for (const source of sources) {
    const row = byLabels.get(source.labelsKey);
    if (row) row.push(source);
    else byLabels.set(source.labelsKey, [source]);
  }
  const rows = [...byLabels.values()].map((row) => ({
    name: Object.values((row[0] as FactSource).labels).join(" · ") || "all",
    cells: metrics.map((metric, index) => {
      const source = row.find((each) => each.metric === metric);
      return source ? fact(columns[index] as string, source) : null;
    }),
  }));
  return { columns, rows };
}

/** One metric with two labels or more: the last one makes the columns. Null where that would make no grid. */
function pivot(sources: readonly FactSource[]): FactGrid | null {
  const column = sources[0]?.metric.labels.at(-1);
  if (column === undefined || (sources[0]?.metric.labels.length ?? 0) < 2) return null;
  const columns = [...new Set(sources.map((source) => source.labels[column] ?? ""))];
  const rows = new Map<string, (Fact | null)[]>();
  for (const source of sources) {
    const others = Object.entries(source.labels).filter(([name]) => name !== column);
    const name = others.map(([label, value]) => `${label} ${value}`).join(" · ");
    const cells = rows.get(name) ?? columns.map(() => null);
    cells[columns.indexOf(source.labels[column] ?? "")] = fact(name, source);
    rows.set(name, cells);
  }
  if (columns.length < 2 || rows.size < 2) return null;
  return { columns, rows: [...rows].map(([name, cells]) => ({ name, cells })) };
}

function fact(name: string, source: FactSource): Fact {
  return { name, text: formatValue(source.value, displayUnit(source.metric)), source };
}

function spaced(name: string): string {
  return name.replaceAll("_", " ");
}
