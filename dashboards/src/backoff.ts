/**
 * How long to wait before the next attempt to connect. Full jitter: a uniform draw below a doubling ceiling, so
 * that the pages of many people do not return in step after the agent restarts.
 */

export const BACKOFF_FIRST_MS = 1_000;
export const BACKOFF_LAST_MS = 30_000;

/** The delay in ms before attempt number `attempt` (0 is the first retry); `random` is in [0, 1). */
export function backoffDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * random);
}

/** The delay that a "going away" close asks for, from its JSON reason; null when it asks for none. */
export function requestedDelayMs(code: number, reason: string): number | null {
  if (code !== 1001 || reason === "") return null;
  try {
    const wish: unknown = JSON.parse(reason);
    if (typeof wish !== "object" || wish === null || !("reconnectAfterMs" in wish)) return null;
    const delay = wish.reconnectAfterMs;
    return typeof delay === "number" && delay >= 0 ? Math.min(delay, 10 * BACKOFF_LAST_MS) : null;
  } catch {
    return null;
  }
}
