/** A series is its metric's name and its labels; this file makes labels comparable, whatever their order. */

/** Label names with values. */
export type Labels = Record<string, string>;

/** The labels as JSON with sorted names, which is also what the page shows in `data-labels`. */
export function labelsKey(labels: Labels): string {
  const names = Object.keys(labels).sort();
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, labels[name]])));
}
