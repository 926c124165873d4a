/**
 * How every plugin does, as the agent last told it. It is read while somebody looks: as a view opens and when a
 * connection begins, and after that with every report of the components, one reading at a time. A reading that fails
 * is tried again with the next report.
 */
import { batch, signal } from "@preact/signals";
import type { PluginInfo, PluginsAnswer } from "./wire";

const TIME_MAX_MS = 10_000;

export class Plugins {
  /** Null until they were read. */
  readonly all = signal<readonly PluginInfo[] | null>(null);
  /** Why they could not be read; null when they could. */
  readonly problem = signal<string | null>(null);

  private watchers = 0;
  private reading: AbortController | null = null;

  /** Keeps them up to date until the returned function is called. */
  watch(): () => void {
    this.watchers += 1;
    this.refresh();
    return () => {
      this.watchers -= 1;
    };
  }

  /** A connection begins: an answer that is on its way may be of an agent that is gone. */
  begin(): void {
    this.reading?.abort();
    this.reading = null;
    this.refresh();
  }

  /** The agent reported; what it says of its plugins may have changed. */
  refresh(): void {
    if (this.watchers === 0 || this.reading !== null || document.hidden) return;
    const reading = new AbortController();
    this.reading = reading;
    readPlugins(AbortSignal.any([reading.signal, AbortSignal.timeout(TIME_MAX_MS)])).then(
      (answer) => {
        if (reading.signal.aborted) return;
        this.reading = null;
        batch(() => {
          this.all.value = answer.plugins;
          this.problem.value = null;
        });
      },
      (failure: unknown) => {
        if (reading.signal.aborted) return;
        this.reading = null;
        this.problem.value = failure instanceof Error ? failure.message : String(failure);
      },
    );
  }
}

/** Rejects with a sentence for the page. */
async function readPlugins(signal: AbortSignal): Promise<PluginsAnswer> {
  const answer = await fetch("/api/dashboard/plugins", { headers: { accept: "application/json" }, signal });
  if (!answer.ok) throw new Error(`the agent answered ${answer.status}`);
  return (await answer.json()) as PluginsAnswer;
}
