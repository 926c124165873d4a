/**
 * Every sample that the page holds: a track for each collector and tier, and the series in them by metric. Frames
 * go in through `take`; charts read series out. It remembers the tables of the running connection, since the agent
 * sends a table only once, and is told when a connection begins. It never fetches and never draws.
 */
import type { ColumnsData, InitialData } from "../wire";
import { type Labels, labelsKey } from "./labels";
import { type Column, Track } from "./track";

/** How much time of live samples the page keeps: what a chart that was off the screen for less can make up for. */
export const WINDOW_MS = 300_000;

type Tiers = InitialData["tiers"];
type Tier = keyof Tiers;
type Tables = NonNullable<ColumnsData["series"]>;

const TIERS: readonly Tier[] = ["fast", "medium", "slow"];

export interface Series {
  readonly metric: string;
  readonly labels: Labels;
  /** Sorted JSON of the labels. */
  readonly labelsKey: string;
  readonly collector: string;
  readonly track: Track;
  readonly column: Column;
  /** When it last had a sample; 0 before the first. */
  sampledAt: number;
}

interface Table {
  number: number;
  tiers: Map<Tier, Series[]>;
}

interface CollectorState {
  tracks: Map<Tier, Track>;
  series: Map<string, Series>;
  table: Table | null;
}

export class History {
  private readonly collectors = new Map<string, CollectorState>();
  private readonly metrics = new Map<string, Series[]>();
  tiers: Tiers = { fast: 1_000, medium: 5_000, slow: 30_000 };

  /** A connection begins: its tables are unknown, and a restarted agent's samples do not continue the old lines. */
  begin(tiers: Tiers, restarted: boolean): void {
    this.tiers = tiers;
    for (const state of this.collectors.values()) {
      state.table = null;
      if (restarted) for (const track of state.tracks.values()) track.breakHere();
    }
    this.missed();
  }

  /** Samples did not reach the page. */
  missed(): void {
    for (const state of this.collectors.values()) for (const track of state.tracks.values()) track.uncover();
  }

  /** Files a frame's values, and returns the metrics that it names, which is when it brings a table. */
  take(at: number, data: ColumnsData): string[] {
    const state = this.collectorState(data.collector);
    const named = data.series ? this.learn(state, data, data.series, at) : [];
    const table = state.table;
    if (!table || table.number !== data.table) return named;
    for (const tier of TIERS) {
      const values = data.values[tier];
      const members = table.tiers.get(tier);
      if (!values || !members) continue;
      const cells: [Column, number | null][] = [];
      for (let index = 0; index < members.length; index += 1) {
        const series = members[index] as Series;
        const value = values[index] ?? null;
        cells.push([series.column, value]);
        if (value !== null) series.sampledAt = at;
      }
      this.track(state, tier).append(at, cells);
    }
    return named;
  }

  /** The series of a metric, in the order in which the agent first named them. */
  of(metric: string): readonly Series[] {
    return this.metrics.get(metric) ?? [];
  }

  private learn(state: CollectorState, data: ColumnsData, entries: Tables, at: number): string[] {
    const tiers = new Map<Tier, Series[]>();
    for (const tier of TIERS) {
      const members = entries[tier]?.map(([metric, labels]) =>
        this.series(state, data.collector, tier, metric, labels),
      );
      if (members) tiers.set(tier, members);
    }
    state.table = { number: data.table, tiers };
    const present = [...tiers.values()].flat();
    this.prune(state, new Set(present), at);
    return present.map((series) => series.metric);
  }

  private series(
    state: CollectorState,
    collector: string,
    tier: Tier,
    metric: string,
    labels: Labels,
  ): Series {
    const labelsText = labelsKey(labels);
    const key = `${tier} ${metric}${labelsText}`;
    const known = state.series.get(key);
    if (known) return known;
    const track = this.track(state, tier);
    const column = track.addColumn();
    const series = { metric, labels, labelsKey: labelsText, collector, track, column, sampledAt: 0 };
    state.series.set(key, series);
    const siblings = this.metrics.get(metric);
    if (siblings) siblings.push(series);
    else this.metrics.set(metric, [series]);
    return series;
  }

  /** Lets go of retired series that left the window, or the page would grow for as long as it stays open. */
  private prune(state: CollectorState, present: ReadonlySet<Series>, at: number): void {
    for (const [key, series] of state.series) {
      if (present.has(series) || series.sampledAt > at - WINDOW_MS) continue;
      state.series.delete(key);
      series.track.removeColumn(series.column);
      const rest = (this.metrics.get(series.metric) ?? []).filter((other) => other !== series);
      this.metrics.set(series.metric, rest);
    }
  }

  private collectorState(collector: string): CollectorState {
    let state = this.collectors.get(collector);
    if (!state) {
      state = { tracks: new Map(), series: new Map(), table: null };
      this.collectors.set(collector, state);
    }
    return state;
  }

  private track(state: CollectorState, tier: Tier): Track {
    let track = state.tracks.get(tier);
    if (!track) {
      track = new Track(this.tiers[tier], WINDOW_MS);
      state.tracks.set(tier, track);
    }
    return track;
  }
}
