import { describe, expect, test } from "vitest";
import { CARD, COLORS, faded, strokeOf } from "./palette";

type Rgb = [number, number, number];

function linear(hex: string): Rgb {
  return [1, 3, 5].map((at) => {
    const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
}

/** WCAG 2 contrast. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const [red, green, blue] = linear(hex);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Machado, Oliveira and Fernandes 2009, severity 1. */
const DEFICIENCIES: Record<string, Rgb[]> = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};

/** OKLab of a linear colour; a distance of 0.02 is about one just noticeable difference. */
function oklab([r, g, b]: Rgb): Rgb {
  const root = (value: number) => Math.cbrt(Math.max(0, value));
  const l = root(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = root(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = root(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function distance(a: string, b: string, matrix: Rgb[]): number {
  const seen = (hex: string) => {
    const [r, g, blue] = linear(hex);
    return oklab(matrix.map((row) => row[0] * r + row[1] * g + row[2] * blue) as Rgb);
  };
  const [from, to] = [seen(a), seen(b)];
  return Math.hypot(from[0] - to[0], from[1] - to[1], from[2] - to[2]);
}

const cases = (["standard", "distinct"] as const).flatMap((name) =>
  (["light", "dark"] as const).map((scheme) => [name, scheme] as const),
);

describe.each(cases)("%s on %s", (name, scheme) => {
  const colors = COLORS[name][scheme];

  test("every colour has a contrast of 3:1 to the card", () => {
    for (const color of colors) expect(contrast(color, CARD[scheme]), color).toBeGreaterThanOrEqual(3);
  });

  test.each(Object.entries(DEFICIENCIES))(
    "lines look different under %s, by colour or by dash",
    (_, matrix) => {
      for (let first = 0; first < colors.length; first += 1) {
        for (let second = first + 1; second < colors.length; second += 1) {
          const a = strokeOf(first, name, scheme === "dark");
          const b = strokeOf(second, name, scheme === "dark");
          if (a.dash.join() !== b.dash.join()) continue;
          expect(distance(a.color, b.color, matrix), `${a.color} ${b.color}`).toBeGreaterThan(0.06);
        }
      }
    },
  );
});

test("a colour that comes round again has another dash", () => {
  expect(strokeOf(8, "standard", false).color).toBe(strokeOf(0, "standard", false).color);
  expect(strokeOf(9, "standard", false).dash).not.toEqual(strokeOf(1, "standard", false).dash);
});

test("fading appends the opacity", () => {
  expect(faded("#0072b2", 0.5)).toBe("#0072b280");
  expect(faded("#0072b2", 0)).toBe("#0072b200");
});
