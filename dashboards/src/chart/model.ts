/**
 * One chart: its plot, and the rows of its legend and table. The pacer calls `draw`; the component shows the rows. Each
 * draw tells the past what the chart shows, so that only what is on the screen is fetched. It reads the store and
 * writes nothing but its own signals and the window it drew, which it leaves on its element.
 */
import { batch, signal } from "@preact/signals";
import type { Live } from "../live";
import type { Line } from "../model/grid";
import type { ChartGroup } from "../model/grouping";
import { type Range, rangeQuery, type Span, spanOf, stepFor, zoomed } from "../model/range";
import type { PastState, Want } from "../past";
import { dark, palette } from "../preference";
import { range, zoomBack, zoomTo } from "../view/route";
import type { AlertInfo, MetricDescriptor } from "../wire";
import { Choice, type Chosen } from "./choice";
import { alertsOn, marksOf } from "./marks";
import type { Drawable } from "./pacer";
import { type Stroke, strokeOf } from "./palette";
import { Plot } from "./plot";
import { type ChartRow, makeRow, restingReading, type Shown, updateRow, updateSummary } from "./rows";
import { cutWindow, emptyWindow, joinedBuckets, stack, sum } from "./window";

/** More lines than this can't be told apart at a glance. */
export const SHOWN_FEW = 8;
export const SHOWN_MANY = 24;
/** A plot whose points are wide need not follow each tick; the values beside it do. */
const DRAW_EVERY_MAX_MS = 10_000;
/** Points left of the window, so that the lines of slow metrics enter at its edge. */
const MARGIN_MAX = 100;

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
  /** How far the past of the shown range is there. */
  readonly past = signal<PastState>({ phase: "loading" });
  /** Why the agent left out a part of it. */
  readonly incomplete = signal<string | null>(null);
  /** Alerts of its metrics. */
  readonly alerts = signal<readonly AlertInfo[]>([]);

  private readonly live: Live;
  private readonly descriptors: Map<string, MetricDescriptor>;
  private readonly choice: Choice;
  private element: HTMLElement | null = null;
  private host: HTMLElement | null = null;
  private plot: Plot | null = null;
  private plotKey = "";
  private drawnKey = "";
  private drawnAt = 0;
  /** Reused from draw to draw. */
  private readonly cut = emptyWindow();
  private range: Range = range.peek();
  private span: Span = { from: 0, to: 0 };
  private shown: Shown = { stepMs: 1_000, from: 0, to: 0 };
  private margin = 0;
  private chosen: Chosen = { shown: [], rest: [] };
  private look = "";
  private strokes: Stroke[] = [];

  constructor(live: Live, group: ChartGroup) {
    this.live = live;
    this.group = group;
    this.choice = new Choice(group, live.history);
    this.descriptors = new Map(group.metrics.map((metric) => [metric.name, metric]));
    this.asTable.value = group.tier === "slow";
  }

  attach(element: HTMLElement, host: HTMLElement): void {
    this.element = element;
    this.host = host;
  }

  detach(): void {
    this.dropPlot();
    this.hide();
    this.element = null;
    this.host = null;
  }

  /** It left the screen: what was asked for on its behalf need not come. */
  hide(): void {
    this.live.past.release(this);
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
    batch(() => {
      this.aim(now);
      this.choose(now);
      if (this.asTable.value) this.dropPlot();
      else this.drawPlot(now);
      this.updateRows(now);
    });
  }

  /** Settles the window, and asks for what it lacks. */
  private aim(now: number): void {
    this.range = range.peek();
    this.span = spanOf(this.range, now);
    const { tiers } = this.live.history;
    const stepMs = stepFor(this.span.to - this.span.from, tiers.fast);
    this.margin = Math.min(MARGIN_MAX, joinedBuckets(tiers[this.group.tier], stepMs));
    this.shown = {
      stepMs,
      from: Math.floor(this.span.from / stepMs),
      to: Math.min(Math.floor(now / stepMs) + 1, Math.ceil(this.span.to / stepMs)),
    };
    const span = { from: (this.shown.from - this.margin) * stepMs, to: this.span.to };
    const want: Want = { metrics: this.group.metrics, span, stepMs };
    const state = this.live.past.want(this, want);
    if (JSON.stringify(state) !== JSON.stringify(this.past.peek())) this.past.value = state;
    this.incomplete.value = this.live.past.incomplete(want);
    const alerts = alertsOn(this.live.alerts.all.peek(), this.descriptors);
    if (alerts.length > 0 || this.alerts.peek().length > 0) this.alerts.value = alerts;
  }

  private choose(now: number): void {
    const many = this.expanded.value ? SHOWN_MANY : SHOWN_FEW;
    const shownMax = this.asTable.value ? Number.POSITIVE_INFINITY : many;
    const grid = this.live.past.grid(this.shown.stepMs);
    this.chosen = this.choice.choose(grid, this.shown, shownMax, rangeQuery(this.range), now);
    this.dress();
  }

  /** Gives the chosen lines their strokes and rows, if they or the colours are not those of the last draw. */
  private dress(): void {
    const { shown, rest } = this.chosen;
    const names = shown.map(({ line, place }) => `${place} ${line.key} ${this.choice.nameOf(line)}`);
    const look = `${palette.value} ${dark.value} ${this.shown.stepMs} ${rest.length} ${names.join("\n")}`;
    const rows = this.face.peek()?.rows;
    // A line that was forgotten and came back is another one.
    if (look === this.look && rows?.every((row, index) => row.line === shown[index]?.line)) return;
    this.look = look;
    this.strokes = shown.map(({ place }) => strokeOf(place, palette.value, dark.value));
    this.face.value = {
      rows: shown.map(({ line }, index) =>
        makeRow(
          line,
          this.choice.nameOf(line),
          this.descriptors.get(line.metric),
          this.strokes[index] as Stroke,
        ),
      ),
      more: rest.length,
    };
  }

  private drawPlot(now: number): void {
    if (!this.host || this.plot?.busy) return;
    const made = this.makePlot(this.host);
    const { stepMs } = this.shown;
    const alerts = this.alerts.peek().map((alert) => `${alert.id} ${alert.state} ${alert.severity}`);
    const { version } = this.live.past.grid(stepMs);
    const key = [rangeQuery(this.range), stepMs, version, this.look, ...alerts].join();
    const moves = this.range.kind === "preset" || this.span.to > now - stepMs;
    const due = moves && now - this.drawnAt >= Math.min(stepMs / 2, DRAW_EVERY_MAX_MS);
    if (!made && key === this.drawnKey && !due && now >= this.drawnAt) return;
    this.drawnKey = key;
    this.drawnAt = now;
    this.fillPlot(now);
    if (this.element) {
      this.element.dataset.from = String(this.span.from);
      this.element.dataset.to = String(this.span.to);
      this.element.dataset.step = String(stepMs);
    }
  }

  /** Says whether the plot is a new one. */
  private makePlot(host: HTMLElement): boolean {
    const { style, unit, tier } = this.group;
    // A stack without its small layers would show too small a whole.
    const remainder = style === "stacked" && this.chosen.rest.length > 0;
    const strokes = remainder
      ? [...this.strokes, { color: dark.value ? "#7d898c" : "#8a9396", dash: [] }]
      : this.strokes;
    const colors = strokes.map((stroke) => stroke.color + stroke.dash).join();
    const envelope = this.hasEnvelope();
    const points = tier === "slow" && this.shown.stepMs <= this.live.history.tiers.slow;
    const key = `${palette.value} ${dark.value} ${envelope} ${points} ${colors}`;
    if (this.plot && key === this.plotKey) return false;
    this.dropPlot();
    this.plotKey = key;
    this.plot = new Plot(host, {
      width: host.clientWidth,
      height: host.clientHeight,
      style,
      unit,
      strokes,
      points,
      envelope,
      onCrosshair: (at) => this.moveCrosshair(at),
      onDrag: (from, to) => {
        const wanted = zoomed(from, to);
        if (wanted) zoomTo(wanted);
      },
      onBack: zoomBack,
    });
    return true;
  }

  /** Where a point stands for several samples, and where lines lie beside each other. */
  private hasEnvelope(): boolean {
    return this.group.style !== "stacked" && this.shown.stepMs > this.live.history.tiers.fast;
  }

  private fillPlot(now: number): void {
    const { shown, rest } = this.chosen;
    const lines = shown.map(({ line }) => line);
    const stacked = this.group.style === "stacked";
    const remainder = stacked && rest.length > 0;
    const all: readonly Line[] = remainder ? [...lines, ...rest] : lines;
    const cut = cutWindow(
      all,
      {
        ...this.shown,
        from: this.shown.from - this.margin,
        now,
        intervalsMs: all.map((line) => this.intervalOf(line)),
        envelope: this.hasEnvelope(),
      },
      this.cut,
    );
    if (remainder) cut.values.splice(lines.length, rest.length, sum(cut.values.slice(lines.length)));
    if (stacked) stack(cut.values);
    this.plot?.draw(cut, marksOf(this.alerts.peek(), stacked, this.span.to), this.span.from, this.span.to);
  }

  private intervalOf(line: Line): number {
    return this.live.history.tiers[this.descriptors.get(line.metric)?.tier ?? this.group.tier];
  }

  private updateRows(now: number): void {
    const { rows } = this.face.peek() ?? { rows: [] };
    const ended = this.range.kind === "absolute";
    batch(() => {
      for (const row of rows) {
        const resting = restingReading(row.line, this.choice.seriesOf(row.line), now, ended, this.shown);
        const join = joinedBuckets(this.intervalOf(row.line), this.shown.stepMs);
        updateRow(row, resting, this.crosshairAt.peek(), { ...this.shown, join }, this.group.unit);
        if (this.asTable.peek()) updateSummary(row, this.shown);
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
