/**
 * Line colours. Both palettes follow published ones for colour-blind eyes (Okabe and Ito 2008; Tol's "bright"),
 * each colour moved in lightness until it has a contrast of 3:1 to the card it is drawn on; a test holds that.
 * Dashes tell lines apart where colours alone might not.
 */
import type { PaletteName } from "../preference";

export interface Stroke {
  color: string;
  /** Lengths in CSS pixels; empty for a solid line. */
  dash: readonly number[];
}

export const CARD = { light: "#ffffff", dark: "#161c1f" } as const;

export const COLORS: Record<PaletteName, { light: readonly string[]; dark: readonly string[] }> = {
  standard: {
    light: ["#0072b2", "#c85200", "#008a65", "#a8326f", "#a06a00", "#2b8cc4", "#6f6500", "#5b6470"],
    dark: ["#4ba3e3", "#f0803c", "#2fc49a", "#e58ac4", "#e6b54a", "#8ed0f5", "#f0e442", "#a9b4be"],
  },
  distinct: {
    light: ["#33639a", "#d14a5c", "#1f7a30", "#857400", "#1b87a6", "#8e2a66", "#707070", "#a3501e"],
    dark: ["#7fb0e8", "#ff8593", "#55b866", "#d8ca5a", "#7fd6ef", "#e07fb6", "#bdbdbd", "#e39a68"],
  },
};

const DASHES: Record<PaletteName, readonly (readonly number[])[]> = {
  standard: [[], [], [], [7, 3], [7, 3], [7, 3], [2, 2], [2, 2]],
  distinct: [[], [8, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 3], [8, 3, 2, 3, 2, 3], [1, 3]],
};

export function strokeOf(place: number, name: PaletteName, dark: boolean): Stroke {
  const colors = COLORS[name][dark ? "dark" : "light"];
  const round = Math.floor(place / colors.length);
  const dashes = DASHES[name];
  return {
    color: colors[place % colors.length] as string,
    // Colours that come round again get another dash.
    dash: dashes[(place + round * 3) % dashes.length] as readonly number[],
  };
}

/** `color` (#rrggbb) with an opacity from 0 to 1. */
export function faded(color: string, opacity: number): string {
  return (
    color +
    Math.round(opacity * 255)
      .toString(16)
      .padStart(2, "0")
  );
}
