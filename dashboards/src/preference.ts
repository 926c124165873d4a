/**
 * What a person chose for this browser: light or dark, and the palette. It is remembered where the browser allows
 * it, and shown on the root element, from which the style sheet reads it.
 */
import { type Signal, signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
export const PALETTES = ["standard", "distinct"] as const;
export type PaletteName = (typeof PALETTES)[number];

export const theme = signal<Theme>(recall("theme", THEMES));
export const palette = signal<PaletteName>(recall("palette", PALETTES));
/** What is really shown, the system's wish included. */
export const dark = signal(false);

const systemDark = matchMedia("(prefers-color-scheme: dark)");

export function startPreferences(): void {
  systemDark.addEventListener("change", show);
  show();
}

export function nextTheme(): void {
  choose("theme", theme, THEMES);
  show();
}

export function nextPalette(): void {
  choose("palette", palette, PALETTES);
}

function show(): void {
  const root = document.documentElement;
  if (theme.value === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  dark.value = theme.value === "auto" ? systemDark.matches : theme.value === "dark";
}

function choose<T extends string>(name: string, choice: Signal<T>, all: readonly T[]): void {
  choice.value = all[(all.indexOf(choice.value) + 1) % all.length] as T;
  try {
    localStorage.setItem(`barograph.${name}`, choice.value);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

function recall<T extends string>(name: string, all: readonly T[]): T {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(`barograph.${name}`);
  } catch {
    // As above.
  }
  return all.find((each) => each === kept) ?? (all[0] as T);
}
