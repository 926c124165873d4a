/** The address' hash as a view: `#/overview`, `#/TOPIC`, `#/TOPIC/SECTION`. */
import { signal } from "@preact/signals";

export interface Route {
  view: string;
  section: string | null;
}

export const OVERVIEW = "overview";
export const route = signal<Route>({ view: OVERVIEW, section: null });

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { view: parts[0] || OVERVIEW, section: parts[1] || null };
}

export function routeHash(view: string, section?: string): string {
  const tail = section === undefined ? "" : `/${encodeURIComponent(section)}`;
  return `#/${encodeURIComponent(view)}${tail}`;
}

export function startRouting(): void {
  const follow = () => {
    route.value = parseRoute(location.hash);
  };
  window.addEventListener("hashchange", follow);
  follow();
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
