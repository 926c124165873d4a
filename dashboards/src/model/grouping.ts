/**
 * Turns the catalog into what a view shows: sections of charts and of facts, in the catalog's order. Metrics with
 * the same topic, section and title share one chart, unless their values cannot share an axis. Pure; it names no
 * metric.
 */
import { type DisplayUnit, displayUnit } from "../format/units";
import type { Catalog, ChartHint, MetricDescriptor } from "../wire";

type Tier = MetricDescriptor["tier"];

export interface ChartGroup {
  key: string;
  topic: string;
  section: string;
  title: string;
  style: Exclude<ChartHint["style"], "none">;
  unit: DisplayUnit;
  overview: boolean;
  /** The slowest tier of its metrics. */
  tier: Tier;
  metrics: MetricDescriptor[];
}

export interface FactGroup {
  key: string;
  topic: string;
  section: string;
  title: string;
  overview: boolean;
  metrics: MetricDescriptor[];
}

/** Differs when a group's metrics do, so that a component keyed by it begins anew with them. */
export function groupIdentity(group: ChartGroup | FactGroup): string {
  return [group.topic, group.key, ...group.metrics.map((metric) => metric.name)].join(" ");
}

export interface Section {
  topic: string;
  name: string;
  charts: ChartGroup[];
  facts: FactGroup[];
}

const SLOWNESS: readonly Tier[] = ["fast", "medium", "slow"];

export function sectionsOf(catalog: Catalog, topic: string): Section[] {
  const sections = new Map<string, Section>();
  const groups = new Map<string, ChartGroup | FactGroup>();
  for (const metric of catalog.metrics) {
    if (metric.topic !== topic) continue;
    const name = metric.chart?.section || "Other";
    let section = sections.get(name);
    if (!section) {
      section = { topic, name, charts: [], facts: [] };
      sections.set(name, section);
    }
    place(section, groups, metric);
  }
  return [...sections.values()];
}

function place(
  section: Section,
  groups: Map<string, ChartGroup | FactGroup>,
  metric: MetricDescriptor,
): void {
  const title = metric.chart?.title || metric.name;
  const style = metric.chart?.style ?? "none";
  const overview = metric.chart?.overview ?? false;
  if (style === "none" || metric.unit === "info" || isLoneSlowValue(metric)) {
    const key = `facts/${section.name}/${title}`;
    const known = groups.get(key);
    if (known) {
      known.metrics.push(metric);
      known.overview ||= overview;
      return;
    }
    const facts = { key, topic: metric.topic, section: section.name, title, overview, metrics: [metric] };
    groups.set(key, facts);
    section.facts.push(facts);
    return;
  }
  const unit = displayUnit(metric);
  const key = `${section.name}/${title}`;
  const first = groups.get(key) as ChartGroup | undefined;
  const shared = first && first.unit.key !== unit.key ? groups.get(`${key} (${unit.key})`) : first;
  if (shared) {
    const chart = shared as ChartGroup;
    chart.metrics.push(metric);
    chart.overview ||= overview;
    if (SLOWNESS.indexOf(metric.tier) > SLOWNESS.indexOf(chart.tier)) chart.tier = metric.tier;
    return;
  }
  const ownTitle = first ? `${title} (${unit.key})` : title;
  const chart: ChartGroup = {
    key: `${section.name}/${ownTitle}`,
    topic: metric.topic,
    section: section.name,
    title: ownTitle,
    style,
    unit,
    overview,
    tier: metric.tier,
    metrics: [metric],
  };
  groups.set(chart.key, chart);
  section.charts.push(chart);
}

/** A line of one value every half a minute says less than the value. */
function isLoneSlowValue(metric: MetricDescriptor): boolean {
  return metric.tier === "slow" && metric.labels.length === 0;
}

/** The topics that have a view of their own: first those of which the overview shows something, else in the catalog's order. */
export function topicsOf(catalog: Catalog): string[] {
  const topics = catalog.topics.map((topic) => topic.topic);
  for (const metric of catalog.metrics) if (!topics.includes(metric.topic)) topics.push(metric.topic);
  const metricsOf = (topic: string) => catalog.metrics.filter((metric) => metric.topic === topic);
  const rank = (topic: string) => (metricsOf(topic).some((metric) => metric.chart?.overview) ? 0 : 1);
  return topics.filter((topic) => metricsOf(topic).length > 0).sort((a, b) => rank(a) - rank(b));
}
