/** The time as a signal, once a second, for what counts up or down in words. */
import { signal } from "@preact/signals";

export const second = signal(Date.now());

export function startTicker(): void {
  setInterval(() => {
    if (!document.hidden) second.value = Date.now();
  }, 1_000);
}
