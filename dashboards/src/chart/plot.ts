/**
 * One uPlot on the page: its options, and the few calls a live chart needs. It is told what to draw and where the
 * window lies; it reads no store. All plots share one crosshair.
 */
import uPlot from "uplot";
import { type DisplayUnit, formatClock, formatTick } from "../format/units";
import type { ChartGroup } from "../model/grouping";
import { timeSplits, yRange, ySplits } from "./axis";
import { faded, type Stroke } from "./palette";
import { isolatedRows, type WindowData } from "./window";

export interface PlotOptions {
  width: number;
  height: number;
  style: ChartGroup["style"];
  unit: DisplayUnit;
  strokes: readonly Stroke[];
  /** Samples of a slow tier are few, so each gets a point. */
  points: boolean;
  /** Called with the crosshair's time in ms, or null when it leaves. */
  onCrosshair: (at: number | null) => void;
}

/**
 * A hairline where a pixel is a pixel. Where there is no GPU the main thread rasterizes, and outlining wider lines with
 * their round joins is what costs most: with 1.5 px, 25 charts of five minutes took 71 ms of it a tick, and with 1 px 46.
 */
const LINE_PX = 1;
export const LAYER_OPACITY = 0.7;
const LABEL_HALF_PX = 22;
const CROSSHAIR = "barograph";
const FONT = "11px system-ui, sans-serif";

export class Plot {
  private readonly plot: uPlot;

  constructor(host: HTMLElement, options: PlotOptions) {
    const empty: uPlot.AlignedData = [[], ...options.strokes.map(() => [])];
    this.plot = new uPlot(plotOptions(options), empty, host);
  }

  draw(data: WindowData, fromMs: number, toMs: number): void {
    this.plot.batch(() => {
      this.plot.setData([data.times, ...data.values], false);
      this.plot.setScale("x", { min: fromMs, max: toMs });
    });
  }

  /** A plot that is not shown has no size, and keeps the one it had. */
  resize(width: number, height: number): void {
    if (width <= 0 || height <= 0 || (width === this.plot.width && height === this.plot.height)) return;
    this.plot.setSize({ width, height });
  }

  destroy(): void {
    this.plot.destroy();
  }
}

function plotOptions(options: PlotOptions): uPlot.Options {
  const css = getComputedStyle(document.documentElement);
  const ink = css.getPropertyValue("--ink-soft").trim();
  const grid = { stroke: css.getPropertyValue("--grid").trim(), width: 1 };
  return {
    width: options.width,
    height: options.height,
    ms: 1,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      sync: { key: CROSSHAIR, setSeries: false, scales: ["x", null] },
      points: { size: 6, width: 1 },
    },
    scales: {
      x: { time: true, auto: false },
      y: {
        range: (_, low, high) => {
          const { min, max } = yRange(low, high, options.unit);
          return [min, max];
        },
      },
    },
    axes: [
      {
        stroke: ink,
        font: FONT,
        grid: { show: false },
        ticks: {
          ...grid,
          size: 4,
          filter: (plot, splits) => splits.map((at) => (hasRoom(plot, at) ? at : null)),
        },
        size: 24,
        gap: 3,
        splits: (plot, _, min, max) => timeSplits(min, max, plot.width),
        values: (plot, splits) => splits.map((at) => (hasRoom(plot, at) ? timeLabel(at) : "")),
      },
      {
        stroke: ink,
        font: FONT,
        grid,
        ticks: { show: false },
        size: 62,
        gap: 4,
        splits: (_, __, min, max) => ySplits({ min, max }),
        values: (_, splits) => splits.map((value) => formatTick(value, options.unit)),
      },
    ],
    series: [{}, ...options.strokes.map((stroke, index) => seriesOptions(options, stroke, index))],
    bands: options.style === "stacked" ? stackBands(options.strokes) : [],
    hooks: { setCursor: [(plot) => options.onCrosshair(crosshairTime(plot))] },
  };
}

function seriesOptions(options: PlotOptions, stroke: Stroke, index: number): uPlot.Series {
  const stacked = options.style === "stacked";
  const filled = options.style === "area" || (stacked && index === 0);
  return {
    stroke: stroke.color,
    // Layers have no outline: that of an empty layer would cover the edge of the one below it.
    width: stacked ? 0 : LINE_PX,
    dash: stacked ? [] : [...stroke.dash],
    ...(filled ? { fill: faded(stroke.color, stacked ? LAYER_OPACITY : 0.14) } : {}),
    spanGaps: false,
    points: {
      show: true,
      size: options.points ? 4 : 3,
      fill: stroke.color,
      filter: (plot, row, show) => {
        const cells = plot.data[row] as (number | null | undefined)[];
        if (!show) return null;
        return options.points ? cells.flatMap((cell, at) => (cell == null ? [] : [at])) : isolatedRows(cells);
      },
    },
  };
}

/** Each layer is filled down to the one below it; the lowest is filled to zero by its own series. */
function stackBands(strokes: readonly Stroke[]): uPlot.Band[] {
  return strokes.slice(1).map((stroke, index) => ({
    series: [index + 2, index + 1],
    fill: faded(stroke.color, LAYER_OPACITY),
  }));
}

function crosshairTime(plot: uPlot): number | null {
  const left = plot.cursor.left ?? -1;
  if (left < 0 || plot.data[0].length === 0) return null;
  return plot.posToVal(left, "x");
}

/** A label is centred on its tick and must not be cut off by the card. */
function hasRoom(plot: uPlot, at: number): boolean {
  return plot.valToPos(at, "x") < plot.bbox.width / uPlot.pxRatio - LABEL_HALF_PX;
}

function timeLabel(atMs: number): string {
  const clock = formatClock(atMs);
  return clock.endsWith(":00") ? clock.slice(0, 5) : clock;
}
