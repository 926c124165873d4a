/**
 * One uPlot on the page: its options, and the few calls a live chart needs. It is told what to draw and where the
 * window lies; it reads no store. All plots share one crosshair.
 */
import uPlot from "uplot";
import { type DisplayUnit, formatTick } from "../format/units";
import type { ChartGroup } from "../model/grouping";
import { timeLabel, timeSplits, yRange, ySplits } from "./axis";
import { drawMarks, type MarkColors, type Marks, NO_MARKS } from "./marks";
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
  /** Whether each line has an envelope under it. */
  envelope: boolean;
  /** Called with the crosshair's time in ms, or null when it leaves. */
  onCrosshair: (at: number | null) => void;
  /** Called with the times between which was dragged. */
  onDrag: (from: number, to: number) => void;
  /** Called on a double click. */
  onBack: () => void;
}

/**
 * A hairline where a pixel is a pixel. Where there is no GPU the main thread rasterizes, and outlining wider lines with
 * their round joins is what costs most: with 1.5 px, 25 charts of five minutes took 71 ms of it a tick, and with 1 px 46.
 */
const LINE_PX = 1;
export const LAYER_OPACITY = 0.7;
/** Enough to be seen under a line, and little enough that eight of them leave the lines readable. */
const ENVELOPE_OPACITY = 0.16;
const LABEL_HALF_PX = 22;
/** A click that slips by less is no drag. */
const DRAG_MIN_PX = 6;
const CROSSHAIR = "barograph";
const FONT = "11px system-ui, sans-serif";

export class Plot {
  private readonly plot: uPlot;
  private marks: Marks = NO_MARKS;

  constructor(host: HTMLElement, options: PlotOptions) {
    const bands = options.envelope ? options.strokes.length * 2 : 0;
    const empty: uPlot.AlignedData = [
      [],
      ...Array.from({ length: options.strokes.length + bands }, () => []),
    ];
    this.plot = new uPlot(
      plotOptions(options, () => this.marks),
      empty,
      host,
    );
  }

  /** While something is dragged it stands still, and so does what is dragged over. */
  get busy(): boolean {
    return this.plot.select.width > 0;
  }

  draw(data: WindowData, marks: Marks, fromMs: number, toMs: number): void {
    this.marks = marks;
    this.plot.batch(() => {
      this.plot.setData([data.times, ...data.values, ...data.min, ...data.max], false);
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

function plotOptions(options: PlotOptions, marks: () => Marks): uPlot.Options {
  const css = getComputedStyle(document.documentElement);
  const color = (name: string) => css.getPropertyValue(name).trim();
  const ink = color("--ink-soft");
  const grid = { stroke: color("--grid"), width: 1 };
  const markColors: MarkColors = {
    warning: color("--warn"),
    critical: color("--bad"),
    resolved: color("--good"),
  };
  return {
    width: options.width,
    height: options.height,
    ms: 1,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    cursor: cursorOptions(options),
    scales: {
      x: { time: true, auto: false },
      y: {
        range: (_, low, high) => {
          const limits = marks().thresholds.map((each) => each.value);
          const least = low === null ? low : Math.min(low, ...limits);
          const { min, max } = yRange(least, Math.max(high ?? 0, ...limits), options.unit);
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
        values: (plot, splits) => splits.map((at) => (hasRoom(plot, at) ? timeLabel(at, spanOf(plot)) : "")),
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
    series: [
      {},
      ...options.strokes.map((stroke, index) => seriesOptions(options, stroke, index)),
      ...(options.envelope ? [...options.strokes, ...options.strokes].map(edgeOptions) : []),
    ],
    bands:
      options.style === "stacked"
        ? stackBands(options.strokes)
        : options.envelope
          ? envelopeBands(options.strokes)
          : [],
    hooks: {
      setCursor: [(plot) => options.onCrosshair(crosshairTime(plot))],
      setSelect: [(plot) => dragged(plot, options)],
      draw: [(plot) => drawMarks(plot, marks(), markColors)],
    },
  };
}

function cursorOptions(options: PlotOptions): uPlot.Cursor {
  return {
    y: false,
    drag: { x: true, y: false, setScale: false, dist: DRAG_MIN_PX },
    // Other charts follow the crosshair only: a drag is answered by the chart that it is made on.
    sync: {
      key: CROSSHAIR,
      setSeries: false,
      scales: ["x", null],
      filters: { sub: (type) => type === "mousemove" || type === "mouseleave" },
    },
    points: {
      width: 1,
      size: 6,
      show: (_, series) => (series > options.strokes.length ? (null as unknown as HTMLElement) : point()),
    },
    bind: {
      dblclick: () => () => {
        options.onBack();
        return null;
      },
    },
  };
}

/** uPlot sizes, colours and moves it. */
function point(): HTMLElement {
  return document.createElement("div");
}

function dragged(plot: uPlot, options: PlotOptions): void {
  const { left, width } = plot.select;
  if (width < DRAG_MIN_PX) return;
  const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  options.onDrag(from, to);
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

/** The edge of an envelope, which is only the edge of what is filled. */
function edgeOptions(): uPlot.Series {
  return { width: 0, spanGaps: false, points: { show: false } };
}

/** Series come as all lines, then all lower edges, then all upper edges. */
function envelopeBands(strokes: readonly Stroke[]): uPlot.Band[] {
  const count = strokes.length;
  return strokes.map((stroke, index) => ({
    series: [1 + 2 * count + index, 1 + count + index],
    fill: faded(stroke.color, ENVELOPE_OPACITY),
  }));
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

function spanOf(plot: uPlot): number {
  const { min, max } = plot.scales.x as uPlot.Scale;
  return (max ?? 0) - (min ?? 0);
}
