/** Every plugin: where it runs, what it takes, and what went wrong. */
import { useEffect } from "preact/hooks";
import { formatClock, formatCount, formatDate } from "../format/units";
import type { PluginFault, PluginInfo } from "../wire";
import {
  collectText,
  faultText,
  lossesText,
  memoryText,
  phaseText,
  processText,
  refusalText,
  reloadText,
  restartsText,
  seriesText,
  stateText,
  toneOf,
  versionText,
} from "./plugin-text";
import { useStore } from "./store";
import { second } from "./ticker";

export function PluginsView() {
  const { live } = useStore();
  const { plugins } = live;
  useEffect(() => plugins.watch(), [plugins]);
  const all = plugins.all.value;
  const problem = plugins.problem.value;
  return (
    <section aria-label="Plugins">
      <h1 class="unseen">Plugins</h1>
      <h2>Plugins</h2>
      {problem !== null && (
        <p class="note bad" role="status">
          The plugins could not be read: {problem}. Trying again.
        </p>
      )}
      {all === null && problem === null && <p class="note">Loading…</p>}
      {all?.length === 0 && <p class="note">No plugin is configured.</p>}
      {all !== null && all.length > 0 && (
        <ul class="plugins">
          {all.map((plugin) => (
            <Plugin key={plugin.name} plugin={plugin} />
          ))}
        </ul>
      )}
    </section>
  );
}

/** Every line is always there, so that nothing moves when something happens. */
function Plugin({ plugin }: { plugin: PluginInfo }) {
  const { live } = useStore();
  const now = live.agentTime(second.value);
  const restarts = restartsText(plugin.restarts);
  const refused = plugin.reload?.outcome === "refused";
  const refusal = refusalText(plugin);
  return (
    <li class="plugin" data-plugin={plugin.name} data-phase={plugin.phase} data-tone={toneOf(plugin)}>
      <p class="plugin-head">
        <span class="dot" aria-hidden="true" />
        <strong>{plugin.name}</strong>
        <span class="plugin-version">{versionText(plugin)}</span>
        <span class="plugin-phase" title={`since ${formatDate(plugin.since)}`}>
          {phaseText(plugin, now)}
        </span>
      </p>
      <dl>
        <Figure name="isolation" text={processText(plugin)} />
        <Figure name="memory" text={memoryText(plugin)} />
        <Figure name="collect" text={collectText(plugin)} />
        <Figure name="series" text={seriesText(plugin)} />
        <Figure name="events" text={formatCount(plugin.eventsStored)} />
        <Figure name="reload" text={reloadText(plugin)} tone={refused ? "bad" : undefined} />
        <Figure name="restarts" text={restarts} tone={restarts === "0" ? undefined : "warn"} />
      </dl>
      <p class={plugin.error === null ? "plugin-state" : "plugin-state wrong"}>{stateText(plugin)}</p>
      {refusal !== null && <p class="plugin-state wrong">{refusal}</p>}
      <Faults faults={plugin.faults} />
      <More plugin={plugin} />
    </li>
  );
}

function Figure({ name, text, tone }: { name: string; text: string; tone?: "warn" | "bad" | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={tone} data-figure={name}>
        {text}
      </dd>
    </div>
  );
}

function Faults({ faults }: { faults: readonly PluginFault[] }) {
  const last = faults[0];
  if (!last) return <p class="plugin-faults">No fault since the agent started.</p>;
  return (
    <details class="plugin-faults">
      <summary>
        Last fault: <span class="plugin-fault">{faultText(last)}</span>
      </summary>
      <ol>
        {faults.map((fault) => (
          <li key={`${fault.at} ${fault.reason} ${fault.message}`} data-fault={fault.reason}>
            <time title={formatDate(fault.at)}>{formatClock(fault.at)}</time> <strong>{fault.reason}</strong>{" "}
            {fault.message}
          </li>
        ))}
      </ol>
    </details>
  );
}

function More({ plugin }: { plugin: PluginInfo }) {
  const losses = lossesText(plugin);
  const facts: [string, string][] = [
    ["topic", plugin.topic],
    ["library", plugin.library],
    ["SHA-256", plugin.sha256 || "not loaded"],
    ["asked every", `${formatCount(plugin.intervalMs)} ms`],
    ["left out", losses || "nothing"],
  ];
  return (
    <details class="plugin-more">
      <summary>Library and schedule</summary>
      <dl>
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
