/**
 * Short names for the series of one chart: what they all share is left out, so that a legend reads "used", "free"
 * or "sda · read" and not the whole metric name. Pure; it works on whatever names a plugin chose.
 */
import type { Labels } from "./labels";

export interface Nameable {
  metric: string;
  labels: Labels;
}

/** One name for each of `members`, in their order. `title` names a series that nothing else tells apart. */
export function seriesNames(members: readonly Nameable[], title: string): string[] {
  const metrics = [...new Set(members.map((member) => member.metric))];
  const stems = distinctStems(metrics);
  const varying = varyingLabels(members);
  return members.map((member) => {
    const parts: string[] = [];
    const stem = stems.get(member.metric);
    if (stem) parts.push(stem);
    for (const label of varying) {
      const value = member.labels[label];
      // Two labels with one value, such as a plugin and its only instance, need not say it twice.
      if (value === undefined || value === "" || parts.includes(value)) continue;
      parts.push(/^-?[\d.]+$/.test(value) ? `${label} ${value}` : value);
    }
    return parts.join(" · ") || title;
  });
}

/** What is left of each name without the words that all of them begin and end with. */
export function distinctStems(names: readonly string[]): Map<string, string> {
  const words = names.map((name) => name.split("_"));
  const shortest = Math.min(...words.map((each) => each.length));
  const sharedWord = (at: (each: string[]) => string | undefined) =>
    words.length > 1 && new Set(words.map(at)).size === 1;
  let front = 0;
  while (front < shortest && sharedWord((each) => each[front])) front += 1;
  let back = 0;
  while (back < shortest - front && sharedWord((each) => each[each.length - 1 - back])) back += 1;
  return new Map(
    names.map((name, index) => {
      if (names.length < 2) return [name, ""];
      const rest = (words[index] ?? []).slice(front, (words[index]?.length ?? 0) - back);
      return [name, rest.join(" ")];
    }),
  );
}

function varyingLabels(members: readonly Nameable[]): string[] {
  const names = new Set<string>();
  for (const member of members) for (const name of Object.keys(member.labels)) names.add(name);
  const several = members.length > 1;
  return [...names].filter(
    (name) => !several || new Set(members.map((member) => member.labels[name] ?? "")).size > 1,
  );
}
