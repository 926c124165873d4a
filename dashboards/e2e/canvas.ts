/** Looks at what a chart really drew. Lines are coloured and grids are grey, so colour tells them apart. */
import type { Page } from "playwright-core";

export interface Drawing {
  /** The window's edges in ms. */
  from: number;
  to: number;
  /** Pixels with a line's colour in each column of the plot, left to right. */
  columns: number[];
}

export function drawing(page: Page, chart: string): Promise<Drawing> {
  return page.evaluate((key) => {
    const section = document.querySelector<HTMLElement>(`[data-chart="${CSS.escape(key)}"]`);
    const canvas = section?.querySelector("canvas");
    const plot = section?.querySelector(".u-over")?.getBoundingClientRect();
    const whole = canvas?.getBoundingClientRect();
    const context = canvas?.getContext("2d");
    if (!section || !canvas || !plot || !whole || !context) throw new Error(`${key} has no plot`);
    const scale = canvas.width / whole.width;
    const width = Math.round(plot.width * scale);
    const height = Math.round(plot.height * scale);
    const image = context.getImageData(
      (plot.left - whole.left) * scale,
      (plot.top - whole.top) * scale,
      width,
      height,
    );
    const columns = new Array<number>(width).fill(0);
    for (let pixel = 0; pixel < width * height; pixel += 1) {
      const [red = 0, green = 0, blue = 0, opacity = 0] = image.data.subarray(pixel * 4, pixel * 4 + 4);
      const colour = Math.max(red, green, blue) - Math.min(red, green, blue);
      if (opacity > 20 && colour > 40) columns[pixel % width] = (columns[pixel % width] ?? 0) + 1;
    }
    return { from: Number(section.dataset.from), to: Number(section.dataset.to), columns };
  }, chart);
}

/** How many of the columns between two times have a line in them, and how many columns that are. */
export function inked(drawn: Drawing, fromMs: number, toMs: number): { inked: number; columns: number } {
  const column = (at: number) => ((at - drawn.from) / (drawn.to - drawn.from)) * drawn.columns.length;
  const part = drawn.columns.slice(
    Math.max(0, Math.ceil(column(fromMs))),
    Math.min(drawn.columns.length, Math.floor(column(toMs))),
  );
  return { inked: part.filter((pixels) => pixels > 0).length, columns: part.length };
}
