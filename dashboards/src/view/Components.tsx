/** The health of every component that the agent runs. */
import { formatClock, formatDate, formatSeconds } from "../format/units";
import type { Component } from "../wire";
import { useStore } from "./store";
import { second } from "./ticker";

/** A collector that claims to be up but sent nothing for this long is shown as stale. */
const QUIET_MAX_MS = 3_500;

export type Health = "up" | "down" | "stale" | "unknown";

export function Components() {
  const { live } = useStore();
  const components = live.components.value;
  const phase = live.connection.value.phase;
  const now = live.agentTime(second.value);
  if (components.length === 0) {
    return (
      <p class="note">
        {phase === "live" ? "Waiting for the first report of the components…" : "No component is known yet."}
      </p>
    );
  }
  return (
    <ul class="components">
      {components.map((component) => {
        const heardAt = live.collectorAt.get(component.name) ?? live.componentsAt.value;
        const health = healthOf(component, phase === "live", now - heardAt);
        return <Row key={component.name} component={component} health={health} heardAt={heardAt} />;
      })}
    </ul>
  );
}

export function healthOf(component: Component, connected: boolean, quietMs: number): Health {
  if (!connected) return "unknown";
  if (!component.up) return "down";
  return quietMs > QUIET_MAX_MS ? "stale" : "up";
}

const WORDS: Record<Health, string> = { up: "up", down: "down", stale: "stale", unknown: "not known" };

function Row(props: { component: Component; health: Health; heardAt: number }) {
  const { component, health, heardAt } = props;
  return (
    <li class="component" data-component={component.name} data-up={String(component.up)} data-health={health}>
      <span class="dot" aria-hidden="true" />
      <strong>{component.name}</strong>
      <span class="component-state">
        {WORDS[health]}
        {health === "stale" || health === "unknown" ? ` since ${formatClock(heardAt)}` : ""}
      </span>
      <dl>
        <div>
          <dt>{component.up ? "up since" : "down since"}</dt>
          <dd title={formatDate(component.since)}>{formatClock(component.since)}</dd>
        </div>
        <div>
          <dt>latency</dt>
          <dd>{component.latencyMs === null ? "–" : formatSeconds(component.latencyMs / 1000)}</dd>
        </div>
        <div>
          <dt>restarts</dt>
          <dd class={component.restarts > 0 ? "warn" : undefined}>{component.restarts}</dd>
        </div>
      </dl>
      {component.error && (
        <p class={component.up ? "component-error past" : "component-error"}>
          {component.up ? "last error: " : ""}
          {component.error}
        </p>
      )}
    </li>
  );
}
