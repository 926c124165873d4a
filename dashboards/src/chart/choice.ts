/**
 * Which lines a chart draws, in which order, under which names and at which places, which give the colours. The choice
 * stands for a while, so that a legend can be read. It reads a grid and live series; it draws nothing.
 */
import { type Grid, type Line, lineKey } from "../model/grid";
import type { ChartGroup } from "../model/grouping";
import type { History, Series } from "../model/history";
import { seriesNames } from "../model/naming";
import { rankSeries } from "../model/rank";
import type { Shown } from "./rows";
import { summarize } from "./window";

/** The choice of lines stands for this long. */
const RANK_EVERY_MS = 10_000;

export interface Chosen {
  shown: { line: Line; place: number }[];
  rest: Line[];
}

export class Choice {
  private readonly group: ChartGroup;
  private readonly history: History;
  private readonly places = new Map<string, number>();
  private keys: readonly string[] = [];
  private names = new Map<string, string>();
  private live = new Map<string, Series>();
  private rankedFor = "";
  private rankedAt = 0;
  private ranked: { shown: { item: string; place: number }[]; rest: string[] } = { shown: [], rest: [] };

  constructor(group: ChartGroup, history: History) {
    this.group = group;
    this.history = history;
  }

  /** The live series of a line, as long as there is one. */
  seriesOf(line: Line): Series | undefined {
    return this.live.get(line.key);
  }

  nameOf(line: Line): string | undefined {
    return this.names.get(line.key);
  }

  /** `purpose` differs when another choice is wanted, such as for another range. */
  choose(grid: Grid, shown: Shown, shownMax: number, purpose: string, now: number): Chosen {
    const lines = this.linesIn(grid, shown);
    const keys = [...lines.keys()];
    const same = keys.length === this.keys.length && keys.every((key, index) => key === this.keys[index]);
    if (!same) {
      const names = seriesNames([...lines.values()], this.group.title);
      this.names = new Map(keys.map((key, index) => [key, names[index] as string]));
      this.keys = keys;
    }
    const rankedFor = `${shownMax} ${purpose}`;
    if (!same || rankedFor !== this.rankedFor || now - this.rankedAt >= RANK_EVERY_MS) {
      this.rankedFor = rankedFor;
      this.rankedAt = now;
      const weight = (key: string) =>
        summarize(lines.get(key) as Line, shown.from, shown.to)?.avg ?? Number.NaN;
      this.ranked = rankSeries(keys, weight, shownMax, this.places);
    }
    return {
      shown: this.ranked.shown.map(({ item, place }) => ({ line: lines.get(item) as Line, place })),
      rest: this.ranked.rest.map((key) => lines.get(key) as Line),
    };
  }

  /** Lines with a value in the window: first those that are live, in the agent's order, then others by name. */
  private linesIn(grid: Grid, shown: Shown): Map<string, Line> {
    this.live.clear();
    const lines = new Map<string, Line>();
    for (const { name } of this.group.metrics) {
      const found = new Map<string, Line>();
      for (const line of grid.linesOf(name)) {
        if (line.buckets.newest >= shown.from && line.buckets.oldest < shown.to) found.set(line.key, line);
      }
      for (const series of this.history.of(name)) {
        const key = lineKey(series.collector, name, series.labelsKey);
        const line = found.get(key);
        if (series.sampledAt > 0) this.live.set(key, series);
        if (!line) continue;
        lines.set(key, line);
        found.delete(key);
      }
      const past = [...found].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
      for (const [key, line] of past) lines.set(key, line);
    }
    return lines;
  }
}
