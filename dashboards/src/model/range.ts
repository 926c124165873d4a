/**
 * Which stretch of time the page shows: one that follows the clock, or one from a moment to another. Its width gives
 * the width of a point, out of a few round ones, so that neighbouring stretches share what was fetched. Pure; the
 * address' hash carries a range as `range=1h`, or as `from` and `to` in Unix ms.
 */
import { formatClock, formatDate } from "../format/units";

export const PRESETS = ["live", "5m", "15m", "1h", "6h", "24h"] as const;
export type Preset = (typeof PRESETS)[number];

export type Range = { kind: "preset"; name: Preset } | { kind: "absolute"; from: number; to: number };

export interface Span {
  from: number;
  to: number;
}

export const LIVE: Range = { kind: "preset", name: "live" };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Live is short: each sample is seen to move. */
export const PRESET_MS: Record<Preset, number> = {
  live: 2 * MINUTE_MS,
  "5m": 5 * MINUTE_MS,
  "15m": 15 * MINUTE_MS,
  "1h": HOUR_MS,
  "6h": 6 * HOUR_MS,
  "24h": DAY_MS,
};

/** A shorter stretch than this holds too few samples to make a line. */
export const SPAN_MIN_MS = 10_000;
/** The agent keeps rollups for two years. */
export const SPAN_MAX_MS = 731 * DAY_MS;
/** A chart is some 300 to 400 pixels wide, and more points than pixels can't be told apart. */
export const POINTS_MAX = 360;

/** Widths of a point. Whole minutes from a minute on and whole hours from an hour on, as the agent has them. */
const STEPS_MS = [
  ...[100, 200, 250, 500],
  ...[1, 2, 3, 5, 10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 3, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12, 24, 48].map((hours) => hours * HOUR_MS),
];

/** The least round width of a point with which `spanMs` fits; `leastMs` is the agent's fastest interval, or a second. */
export function stepFor(spanMs: number, leastMs = 1_000): number {
  const least = Math.max(spanMs / POINTS_MAX, Math.min(leastMs, 1_000));
  return STEPS_MS.find((step) => step >= least) ?? (STEPS_MS.at(-1) as number);
}

export function spanOf(range: Range, now: number): Span {
  if (range.kind === "absolute") return { from: range.from, to: range.to };
  return { from: now - PRESET_MS[range.name], to: now };
}

/** An absolute range in whole seconds and within bounds; null where that is none. */
export function absolute(from: number, to: number): Range | null {
  if (!Number.isFinite(from) || !Number.isFinite(to) || from < 0) return null;
  const range = {
    kind: "absolute",
    from: Math.floor(from / 1_000) * 1_000,
    to: Math.ceil(to / 1_000) * 1_000,
  } as const;
  const spanMs = range.to - range.from;
  return spanMs >= SPAN_MIN_MS && spanMs <= SPAN_MAX_MS ? range : null;
}

/** What a drag from one time to another asks for; a short one is widened about its middle. */
export function zoomed(fromMs: number, toMs: number): Range | null {
  const middle = (fromMs + toMs) / 2;
  const half = Math.max(Math.abs(toMs - fromMs), SPAN_MIN_MS) / 2;
  return absolute(middle - half, middle + half);
}

/** The range with the same middle and twice the width, ending now at the latest. */
export function widened(range: Range, now: number): Range {
  const { from, to } = spanOf(range, now);
  const end = Math.min(now, to + (to - from) / 2);
  return absolute(end - Math.min(2 * (to - from), SPAN_MAX_MS - 2_000), end) ?? range;
}

/** The middle half of the range; of one that follows the clock, the later half. */
export function narrowed(range: Range, now: number): Range {
  const { from, to } = spanOf(range, now);
  const end = range.kind === "preset" ? to : to - (to - from) / 4;
  return absolute(end - Math.max((to - from) / 2, SPAN_MIN_MS), end) ?? range;
}

/** The range half of its width earlier (-1) or later (1); one that reaches now stays there. */
export function shifted(range: Range, now: number, direction: -1 | 1): Range {
  const { from, to } = spanOf(range, now);
  const end = Math.min(Math.max(now, to), to + (direction * (to - from)) / 2);
  return absolute(end - (to - from), end) ?? range;
}

export function parseRange(query: URLSearchParams): Range {
  const name = PRESETS.find((preset) => preset === query.get("range"));
  if (name) return { kind: "preset", name };
  const from = query.get("from");
  const to = query.get("to");
  return (from !== null && to !== null && absolute(Number(from), Number(to))) || LIVE;
}

/** As it stands behind the hash's `?`; empty for live. */
export function rangeQuery(range: Range): string {
  if (range.kind === "absolute") return `from=${range.from}&to=${range.to}`;
  return range.name === "live" ? "" : `range=${range.name}`;
}

export function sameRange(one: Range, other: Range): boolean {
  return rangeQuery(one) === rangeQuery(other);
}

const PRESET_TEXT: Record<Preset, string> = {
  live: "the last two minutes",
  "5m": "the last 5 minutes",
  "15m": "the last 15 minutes",
  "1h": "the last hour",
  "6h": "the last 6 hours",
  "24h": "the last 24 hours",
};

/** For sentences: "the last hour", "12:00:00 to 12:30:00". */
export function rangeText(range: Range): string {
  if (range.kind === "preset") return PRESET_TEXT[range.name];
  return `${formatDate(range.from)} to ${endText(range.from, range.to)}`;
}

/** For the picker, where there is little room: "11-21 12:00 – 12:30". */
export function rangeLabel(range: Span, now: number): string {
  const seconds = range.from % MINUTE_MS !== 0 || range.to % MINUTE_MS !== 0;
  const clock = (at: number) => (seconds ? formatClock(at) : formatClock(at).slice(0, 5));
  const day = (at: number, before: number) =>
    formatDate(at).slice(0, 10) === formatDate(before).slice(0, 10) ? "" : `${formatDate(at).slice(5, 10)} `;
  return `${day(range.from, now)}${clock(range.from)} – ${day(range.to, range.from)}${clock(range.to)}`;
}

function endText(from: number, to: number): string {
  return formatDate(from).slice(0, 10) === formatDate(to).slice(0, 10) ? formatClock(to) : formatDate(to);
}
