/** What the status line says, and what a screen reader is told, which leaves out what changes each second. Pure. */
import type { ConnectionState } from "../connection";
import { formatClock, formatSeconds } from "../format/units";

export interface StatusText {
  label: string;
  detail: string;
  announcement: string;
}

export function statusText(state: ConnectionState, now: number): StatusText {
  switch (state.phase) {
    case "connecting":
      return { label: "Connecting", detail: "", announcement: "Connecting to the agent" };
    case "live":
      return { label: "Live", detail: "", announcement: "Live" };
    case "stale": {
      const age = formatSeconds(Math.max(0, Math.floor((now - state.since) / 1000)));
      return {
        label: "Stale",
        detail: `since ${formatClock(state.since)} (${plain(age)})`,
        announcement: `No data since ${formatClock(state.since)}`,
      };
    }
    case "reconnecting": {
      const since = `since ${formatClock(state.since)}`;
      const left = state.retryAt === null ? 0 : Math.max(0, Math.ceil((state.retryAt - now) / 1000));
      return {
        label: "Disconnected",
        detail: left > 0 ? `${since}, retrying in ${left} s` : `${since}, retrying now`,
        announcement: `Disconnected ${since}, retrying`,
      };
    }
  }
}

function plain(duration: string): string {
  return duration.replace(/\.\d+/, "");
}
