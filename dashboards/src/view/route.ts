/**
 * The address' hash as a view and a range: `#/overview`, `#/plugins`, `#/TOPIC`, `#/TOPIC/SECTION`, each with
 * `?range=1h` or `?from=…&to=…` where the range is not live. A link carries both.
 */
import { computed, signal } from "@preact/signals";
import { LIVE, parseRange, type Range, rangeQuery, sameRange } from "../model/range";

export interface Route {
  view: string;
  section: string | null;
  range: Range;
}

export const OVERVIEW = "overview";
export const PLUGINS = "plugins";
export const route = signal<Route>({ view: OVERVIEW, section: null, range: LIVE });
const rangeKey = computed(() => rangeQuery(route.value.range));
/** The route's range; it changes only when the range does. */
export const range = computed(() => parseRange(new URLSearchParams(rangeKey.value)));
/** The ranges that were zoomed out of, the last one last. */
export const zoomedFrom = signal<readonly Range[]>([]);

/** More than anybody remembers the way back through. */
const ZOOMS_MAX = 32;

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.split("?", 2);
  const parts = path.replace(/^#\/?/, "").split("/").map(decoded);
  return {
    view: parts[0] || OVERVIEW,
    section: parts[1] || null,
    range: parseRange(new URLSearchParams(query)),
  };
}

/** The address of a view in the range that is shown, unless another is given. */
export function routeHash(view: string, section?: string | null, shown: Range = range.value): string {
  const tail = section == null ? "" : `/${encodeURIComponent(section)}`;
  const query = rangeQuery(shown);
  return `#/${encodeURIComponent(view)}${tail}${query === "" ? "" : `?${query}`}`;
}

export function startRouting(): void {
  const follow = () => {
    route.value = parseRoute(location.hash);
  };
  window.addEventListener("hashchange", follow);
  follow();
}

/** A range that was chosen as such: there is nothing to go back to. */
export function setRange(chosen: Range): void {
  zoomedFrom.value = [];
  go(chosen);
}

/** A range found on the charts; `zoomBack` leads back from it. */
export function zoomTo(chosen: Range): void {
  if (sameRange(chosen, range.peek())) return;
  zoomedFrom.value = [...zoomedFrom.peek(), range.peek()].slice(-ZOOMS_MAX);
  go(chosen);
}

/** Back to the range before the last zoom; from an absolute one that no zoom led to, back to live. */
export function zoomBack(): void {
  const before = zoomedFrom.peek().at(-1);
  zoomedFrom.value = zoomedFrom.peek().slice(0, -1);
  if (before) go(before);
  else if (range.peek().kind === "absolute") go(LIVE);
}

function go(chosen: Range): void {
  const { view, section } = route.peek();
  location.hash = routeHash(view, section, chosen);
  // The event comes later; what was clicked must not spring back until then.
  route.value = parseRoute(location.hash);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
