/**
 * Which series of a chart are drawn when there are too many to tell apart: the largest by current value. Series
 * keep their place, and so their colour, for as long as they stay among them. Pure.
 */
export interface Ranked<T> {
  /** By place; the place gives the colour. */
  shown: { item: T; place: number }[];
  rest: T[];
}

/**
 * `items` come in their fixed order, which is the order of `shown` as well; `weight` is NaN for an item without a
 * current value; `places` remembers places between calls and is updated.
 */
export function rankSeries<T>(
  items: readonly T[],
  weight: (item: T) => number,
  shownMax: number,
  places: Map<T, number>,
): Ranked<T> {
  const chosen = items.length <= shownMax ? new Set(items) : largest(items, weight, shownMax);
  for (const item of places.keys()) if (!chosen.has(item)) places.delete(item);
  const taken = new Set(places.values());
  const shown: Ranked<T>["shown"] = [];
  const rest: T[] = [];
  let next = 0;
  for (const item of items) {
    if (!chosen.has(item)) {
      rest.push(item);
      continue;
    }
    let place = places.get(item);
    if (place === undefined) {
      while (taken.has(next)) next += 1;
      place = next;
      taken.add(place);
      places.set(item, place);
    }
    shown.push({ item, place });
  }
  return { shown, rest };
}

function largest<T>(items: readonly T[], weight: (item: T) => number, count: number): Set<T> {
  const weighed = items.map((item, index) => {
    const value = weight(item);
    return { item, index, value: Number.isNaN(value) ? Number.NEGATIVE_INFINITY : Math.abs(value) };
  });
  weighed.sort((a, b) => b.value - a.value || a.index - b.index);
  return new Set(weighed.slice(0, count).map((each) => each.item));
}
