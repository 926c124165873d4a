/**
 * One live chart: which series it draws, its plot, and the rows of its legend and table. The pacer calls `draw`;
 * the component shows the rows. It reads the store and writes nothing but its own signals and the window it drew,
 * which it leaves on its element.
 */
import { batch, signal } from "@preact/signals";
import type { Live } from "../live";
import type { ChartGroup } from "../model/grouping";
import { type Series, WINDOW_MS, windowFor } from "../model/history";
import { seriesNames } from "../model/naming";
import { type Ranked, rankSeries } from "../model/rank";
import { dark, palette } from "../preference";
import type { MetricDescriptor } from "../wire";
import type { Drawable } from "./pacer";
import { type Stroke, strokeOf } from "./palette";
import { Plot } from "./plot";
import { type ChartRow, currentReading, makeRow, updateRow, updateSummary } from "./rows";
import { cutWindow, stack, sum, type WindowData } from "./window";

/** More lines than this can't be told apart at a glance. */
export const SHOWN_FEW = 8;
export const SHOWN_MANY = 24;
/** The choice of lines stands for this long, so that a legend can be read. */
const RANK_EVERY_MS = 10_000;

/** What is shown, apart from the values; it changes when series come, go or change places. */
export interface ChartFace {
  rows: readonly ChartRow[];
  /** Series that are not among the rows. */
  more: number;
}

export class ChartModel implements Drawable {
  readonly group: ChartGroup;
  /** Null before the first draw. */
  readonly face = signal<ChartFace | null>(null);
  readonly asTable = signal(false);
  readonly expanded = signal(false);
  /** The crosshair's time in ms. */
  readonly crosshairAt = signal<number | null>(null);

  private readonly live: Live;
  private readonly descriptors: Map<string, MetricDescriptor>;
  private readonly places = new Map<Series, number>();
  private element: HTMLElement | null = null;
  private host: HTMLElement | null = null;
  private plot: Plot | null = null;
  private plotKey = "";
  /** Reused from draw to draw. */
  private readonly cut: WindowData = { times: [], values: [] };
  private active: readonly Series[] = [];
  private names = new Map<Series, string>();
  private ranked: Ranked<Series> = { shown: [], rest: [] };
  private rankedFor = 0;
  private rankedAt = 0;
  private look = "";
  private strokes: Stroke[] = [];

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

  resize(width: number, height: number): void {
    this.plot?.resize(width, height);
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
    this.updateRows(now);
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
    const same = shownMax === this.rankedFor && sameItems(active, this.active);
    if (!same || now - this.rankedAt >= RANK_EVERY_MS) {
      if (!same) {
        const names = seriesNames(
          active.map(({ metric, labels }) => ({ metric, labels })),
          this.group.title,
        );
        this.names = new Map(active.map((series, index) => [series, names[index] as string]));
        this.look = "";
      }
      this.active = active;
      this.rankedFor = shownMax;
      this.rankedAt = now;
      const weight = (series: Series) => currentReading(series, now)?.value ?? Number.NaN;
      this.ranked = rankSeries(active, weight, shownMax, this.places);
    }
    this.dress();
  }

  /** Gives the chosen series their strokes and rows, if they or the colours are not those of the last draw. */
  private dress(): void {
    const { shown, rest } = this.ranked;
    const chosen = shown.map(({ item, place }) => `${this.active.indexOf(item)}:${place}`).join();
    const look = `${palette.value} ${dark.value} ${rest.length} ${chosen}`;
    if (look === this.look && this.face.peek()) return;
    this.look = look;
    this.strokes = shown.map(({ place }) => strokeOf(place, palette.value, dark.value));
    const rows = shown.map(({ item }, index) =>
      makeRow(item, this.names.get(item), this.descriptors.get(item.metric), this.strokes[index] as Stroke),
    );
    this.face.value = { rows, more: rest.length };
  }

  private drawPlot(from: number, now: number): void {
    if (!this.host) return;
    const { shown, rest } = this.ranked;
    const drawn = shown.map((each) => each.item);
    const stacked = this.group.style === "stacked";
    // A stack without its small layers would show too small a whole.
    const remainder = stacked && rest.length > 0;
    const strokes = remainder
      ? [...this.strokes, { color: dark.value ? "#7d898c" : "#8a9396", dash: [] }]
      : this.strokes;
    const key = `${palette.value} ${dark.value} ${strokes.map((stroke) => stroke.color + stroke.dash).join()}`;
    if (!this.plot || key !== this.plotKey) {
      this.dropPlot();
      this.plotKey = key;
      this.plot = new Plot(this.host, {
        width: this.host.clientWidth,
        height: this.host.clientHeight,
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

  private updateRows(now: number): void {
    const { rows } = this.face.peek() ?? { rows: [] };
    batch(() => {
      for (const row of rows) {
        updateRow(row, now, this.crosshairAt.peek(), this.group.unit);
        if (this.asTable.peek()) updateSummary(row, now - WINDOW_MS);
      }
    });
  }

  private moveCrosshair(at: number | null): void {
    if (at === this.crosshairAt.peek()) return;
    this.crosshairAt.value = at;
    this.updateRows(this.live.now());
  }

  private dropPlot(): void {
    this.plot?.destroy();
    this.plot = null;
  }
}

function sameItems<T>(some: readonly T[], others: readonly T[]): boolean {
  return some.length === others.length && some.every((item, index) => item === others[index]);
}
