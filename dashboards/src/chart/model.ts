/**
 * One live chart: which series it draws, its plot, and the rows of its legend and table. The pacer calls `draw`;
 * the component shows the rows. It reads the store and writes nothing but its own signals and the window it drew,
 * which it leaves on its element.
 */
import { signal } from "@preact/signals";
import { formatValue } from "../format/units";
import type { Live } from "../live";
import type { ChartGroup } from "../model/grouping";
import { type Series, WINDOW_MS, windowFor } from "../model/history";
import { seriesNames } from "../model/naming";
import { type Ranked, rankSeries } from "../model/rank";
import { GAP_INTERVALS } from "../model/track";
import { dark, palette } from "../preference";
import type { MetricDescriptor } from "../wire";
import type { Drawable } from "./pacer";
import { type Stroke, strokeOf } from "./palette";
import { Plot } from "./plot";
import {
  cutWindow,
  type Reading,
  readingAt,
  type Summary,
  stack,
  sum,
  summarize,
  type WindowData,
} from "./window";

/** More lines than this can't be told apart at a glance. */
export const SHOWN_FEW = 8;
export const SHOWN_MANY = 24;
/** The choice of lines stands for this long, so that a legend can be read. */
const RANK_EVERY_MS = 10_000;

export interface ChartRow {
  key: string;
  metric: string;
  labelsKey: string;
  name: string;
  help: string;
  stroke: Stroke;
  /** As last drawn; the crosshair does not change it. */
  reading: Reading | null;
  /** The value to show: at the crosshair, or else the current one. */
  text: string;
  summary: Summary | null;
}

export interface ChartFace {
  rows: ChartRow[];
  /** Series that are not among the rows. */
  more: number;
  /** The crosshair's time in ms. */
  at: number | null;
}

export class ChartModel implements Drawable {
  readonly group: ChartGroup;
  /** Null before the first draw. */
  readonly face = signal<ChartFace | null>(null);
  readonly asTable = signal(false);
  readonly expanded = signal(false);
  private readonly live: Live;
  private readonly descriptors: Map<string, MetricDescriptor>;
  private readonly places = new Map<Series, number>();
  private element: HTMLElement | null = null;
  private host: HTMLElement | null = null;
  private plot: Plot | null = null;
  private plotKey = "";
  /** Reused from draw to draw. */
  private readonly cut: WindowData = { times: [], values: [] };
  private ranked: Ranked<Series> = { shown: [], rest: [] };
  private rankKey = "";
  private rankedAt = 0;
  private names = new Map<Series, string>();
  private crosshairAt: number | null = null;

  constructor(live: Live, group: ChartGroup) {
    this.live = live;
    this.group = group;
    this.descriptors = new Map(group.metrics.map((metric) => [metric.name, metric]));
    this.asTable.value = group.tier === "slow";
  }

  attach(element: HTMLElement, host: HTMLElement): void {
    this.element = element;
    this.host = host;
  }

  detach(): void {
    this.dropPlot();
    this.element = null;
    this.host = null;
  }

  resize(width: number): void {
    this.plot?.resize(width);
  }

  toggleTable(): void {
    this.asTable.value = !this.asTable.value;
    this.draw(this.live.now());
  }

  toggleExpanded(): void {
    this.expanded.value = !this.expanded.value;
    this.draw(this.live.now());
  }

  draw(now: number): void {
    this.choose(now);
    const from = now - windowFor(now - (this.live.history.firstAt ?? now));
    if (this.asTable.value) this.dropPlot();
    else this.drawPlot(from, now);
    this.showRows(now);
    if (this.element) {
      this.element.dataset.from = String(from);
      this.element.dataset.to = String(now);
    }
  }

  private choose(now: number): void {
    const active = this.group.metrics
      .flatMap((metric) => this.live.history.of(metric.name))
      .filter((series) => series.sampledAt > now - WINDOW_MS);
    const shownMax = this.asTable.value
      ? Number.POSITIVE_INFINITY
      : this.expanded.value
        ? SHOWN_MANY
        : SHOWN_FEW;
    const key = `${shownMax} ${active.map((series) => `${series.collector} ${series.metric}${series.labelsKey}`).join()}`;
    if (key === this.rankKey && now - this.rankedAt < RANK_EVERY_MS) return;
    if (key !== this.rankKey) {
      const names = seriesNames(active, this.group.title);
      this.names = new Map(active.map((series, index) => [series, names[index] as string]));
    }
    this.rankKey = key;
    this.rankedAt = now;
    const weight = (series: Series) => readingAt(series, now, ageMax(series))?.value ?? Number.NaN;
    this.ranked = rankSeries(active, weight, shownMax, this.places);
  }

  private drawPlot(from: number, now: number): void {
    if (!this.host) return;
    const { shown, rest } = this.ranked;
    const drawn = shown.map((each) => each.item);
    const strokes = shown.map((each) => strokeOf(each.place, palette.value, dark.value));
    const stacked = this.group.style === "stacked";
    // A stack without its small layers would show too small a whole.
    const remainder = stacked && rest.length > 0;
    if (remainder) strokes.push({ color: dark.value ? "#7d898c" : "#8a9396", dash: [] });
    const key = `${palette.value} ${dark.value} ${strokes.map((stroke) => stroke.color + stroke.dash).join()}`;
    if (!this.plot || key !== this.plotKey) {
      this.dropPlot();
      this.plotKey = key;
      this.plot = new Plot(this.host, {
        width: this.host.clientWidth,
        style: this.group.style,
        unit: this.group.unit,
        strokes,
        points: this.group.tier === "slow",
        onCrosshair: (at) => this.moveCrosshair(at),
      });
    }
    const cut = cutWindow([...drawn, ...(remainder ? rest : [])], from, now, this.cut);
    if (remainder) cut.values.splice(drawn.length, rest.length, sum(cut.values.slice(drawn.length)));
    if (stacked) stack(cut.values);
    this.plot.draw(cut, from, now);
  }

  private showRows(now: number): void {
    const rows = this.ranked.shown.map(({ item, place }): ChartRow => {
      const reading = readingAt(item, now, ageMax(item));
      const shown = this.crosshairAt === null ? reading : readingAt(item, this.crosshairAt, ageMax(item));
      const descriptor = this.descriptors.get(item.metric);
      return {
        key: `${item.collector} ${item.metric}${item.labelsKey}`,
        metric: item.metric,
        labelsKey: item.labelsKey,
        name: this.names.get(item) ?? item.metric,
        help: descriptor?.help ?? "",
        stroke: strokeOf(place, palette.value, dark.value),
        reading,
        text: formatValue(shown?.value, this.group.unit),
        summary: this.asTable.value ? summarize(item, now - WINDOW_MS) : null,
      };
    });
    this.face.value = { rows, more: this.ranked.rest.length, at: this.crosshairAt };
  }

  private moveCrosshair(at: number | null): void {
    if (at === this.crosshairAt) return;
    this.crosshairAt = at;
    this.showRows(this.live.now());
  }

  private dropPlot(): void {
    this.plot?.destroy();
    this.plot = null;
  }
}

function ageMax(series: Series): number {
  return GAP_INTERVALS * series.track.intervalMs;
}
