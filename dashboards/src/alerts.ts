/**
 * The alerts as the agent last told them: the whole list when a connection begins and now and then while something is
 * wrong, since an alert's value moves on, and each change of state as an event of the channel `admin`. An event is never
 * undone by a list that was made before it.
 */
import { batch, computed, signal } from "@preact/signals";
import { backoffDelayMs } from "./backoff";
import type { AlertInfo, AlertsAnswer, RuleInfo } from "./wire";

/** How old the shown value of an alert may be. */
const VALUES_EVERY_MS = 5_000;
/** Rules and resolved alerts change rarely. */
const REST_EVERY_MS = 60_000;
/** As long as the agent lists resolved alerts. */
export const RESOLVED_FOR_MS = 3_600_000;

export interface AlertsOptions {
  /** There is something new to mark on charts. */
  onChange: () => void;
}

const ORDER: Record<AlertInfo["state"], number> = { firing: 0, pending: 1, resolved: 2 };

export class Alerts {
  /** Firing first, then pending, then resolved; the newest first of each. */
  readonly all = signal<readonly AlertInfo[]>([]);
  /** Null until they were read. */
  readonly rules = signal<readonly RuleInfo[] | null>(null);
  /** Why the list could not be read; null when it could. */
  readonly problem = signal<string | null>(null);
  readonly firing = computed(() => this.all.value.filter((alert) => alert.state === "firing"));
  readonly pending = computed(() => this.all.value.filter((alert) => alert.state === "pending"));
  readonly resolved = computed(() => this.all.value.filter((alert) => alert.state === "resolved"));

  private readonly options: AlertsOptions;
  /** When the last event about each alert was. */
  private readonly eventAt = new Map<string, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private abort: AbortController | null = null;
  private failures = 0;

  constructor(options: AlertsOptions) {
    this.options = options;
  }

  /** A connection begins: what happened before it is only in the list. */
  begin(): void {
    this.eventAt.clear();
    this.read();
  }

  take(alert: AlertInfo, at: number): void {
    this.eventAt.set(alert.id, at);
    this.show([alert, ...this.all.peek().filter((each) => each.id !== alert.id)]);
    this.schedule();
  }

  private read(): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    readAlerts(AbortSignal.any([abort.signal, AbortSignal.timeout(10_000)])).then(
      (answer) => {
        if (abort.signal.aborted) return;
        this.failures = 0;
        batch(() => {
          this.problem.value = null;
          this.rules.value = answer.rules;
          this.show(this.merge(answer));
        });
        this.schedule();
      },
      (failure: unknown) => {
        if (abort.signal.aborted) return;
        this.problem.value = failure instanceof Error ? failure.message : String(failure);
        this.failures += 1;
        this.schedule(1_000 + backoffDelayMs(this.failures, Math.random()));
      },
    );
  }

  private merge(answer: AlertsAnswer): AlertInfo[] {
    const newer = new Set([...this.eventAt].filter(([, at]) => at > answer.at).map(([id]) => id));
    for (const id of this.eventAt.keys()) if (!newer.has(id)) this.eventAt.delete(id);
    const kept = this.all.peek().filter((alert) => newer.has(alert.id));
    return [...kept, ...answer.alerts.filter((alert) => !newer.has(alert.id))];
  }

  private show(alerts: AlertInfo[]): void {
    this.all.value = alerts.sort((a, b) => ORDER[a.state] - ORDER[b.state] || lastChange(b) - lastChange(a));
    this.options.onChange();
  }

  private schedule(delayMs?: number): void {
    const active = this.firing.peek().length + this.pending.peek().length > 0;
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => (document.hidden ? this.schedule() : this.read()),
      delayMs ?? (active ? VALUES_EVERY_MS : REST_EVERY_MS),
    );
  }
}

/** When the alert came into its state. */
export function lastChange(alert: AlertInfo): number {
  if (alert.state === "resolved") return alert.resolvedAt ?? alert.since;
  return alert.state === "firing" ? (alert.firedAt ?? alert.since) : alert.since;
}

/** Rejects with a sentence for the page. */
async function readAlerts(signal: AbortSignal): Promise<AlertsAnswer> {
  const answer = await fetch("/api/dashboard/alerts", { headers: { accept: "application/json" }, signal });
  if (!answer.ok) throw new Error(`the agent answered ${answer.status}`);
  return (await answer.json()) as AlertsAnswer;
}
