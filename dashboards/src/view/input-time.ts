/** Moments as a browser's date and time inputs write them: local, without a zone. Pure. */
import { formatDate } from "../format/units";

export function inputTime(atMs: number): string {
  return formatDate(atMs).replace(" ", "T");
}

/** Null for what is no moment. */
export function parseInputTime(text: string): number | null {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) ? new Date(text).getTime() : Number.NaN;
  return Number.isNaN(at) ? null : at;
}
