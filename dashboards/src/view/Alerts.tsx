/** What is wrong now, what is about to be, and what was within the last hour; and the rules that watch. */

import { lastChange } from "../alerts";
import { ABSENT, displayUnit, formatClock, formatDate, formatValue } from "../format/units";
import type { AlertInfo, Catalog, RuleInfo } from "../wire";
import { AlertIcon } from "./AlertIcon";
import { alertSubject, durationText, ruleText } from "./alert-text";
import { OVERVIEW, routeHash } from "./route";
import { useStore } from "./store";
import { second } from "./ticker";

/** A link in the header, while something fires or is about to. */
export function AlertBadge() {
  const { live } = useStore();
  const firing = live.alerts.firing.value;
  const pending = live.alerts.pending.value;
  const critical = firing.some((alert) => alert.severity === "critical");
  return (
    <>
      {firing.length + pending.length > 0 && (
        <a
          class="alert-badge"
          href={routeHash(OVERVIEW)}
          data-severity={critical ? "critical" : "warning"}
          data-firing={firing.length}
        >
          <AlertIcon severity={critical ? "critical" : "warning"} />
          {firing.length > 0 && `${firing.length} firing`}
          {pending.length > 0 && (
            <span class={firing.length > 0 ? "alert-badge-more" : undefined}>
              {firing.length > 0 ? ", " : ""}
              {pending.length} pending
            </span>
          )}
        </a>
      )}
      <span class="unseen" aria-live="polite">
        {firing.map((alert) => `${alert.severity} alert: ${alert.message}`).join(". ")}
      </span>
    </>
  );
}

export function Alerts({ catalog }: { catalog: Catalog }) {
  const { live } = useStore();
  const { alerts } = live;
  const rules = alerts.rules.value;
  const problem = alerts.problem.value;
  const active = [...alerts.firing.value, ...alerts.pending.value];
  const resolved = alerts.resolved.value;
  return (
    <section aria-label="Alerts" data-alerts={active.length}>
      <h2>Alerts</h2>
      {problem !== null && (
        <p class="note bad" role="status">
          The alerts could not be read: {problem}. Trying again.
        </p>
      )}
      {active.length > 0 && <AlertList alerts={active} catalog={catalog} />}
      {rules === null
        ? problem === null && <p class="note">Loading…</p>
        : active.length === 0 && <p class="alerts-quiet">{quietText(rules)}</p>}
      {resolved.length > 0 && (
        <details class="alerts-more">
          <summary>Resolved within the last hour: {resolved.length}</summary>
          <AlertList alerts={resolved} catalog={catalog} />
        </details>
      )}
      {rules !== null && rules.length > 0 && <Rules rules={rules} catalog={catalog} />}
    </section>
  );
}

function quietText(rules: readonly RuleInfo[]): string {
  const watching = rules.filter((rule) => rule.waitingFor === null).length;
  if (watching === 0) return "No rule watches anything.";
  return `Nothing is firing. ${watching} ${watching === 1 ? "rule watches" : "rules watch"}.`;
}

function AlertList({ alerts, catalog }: { alerts: readonly AlertInfo[]; catalog: Catalog }) {
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <Alert key={alert.id} alert={alert} catalog={catalog} />
      ))}
    </ul>
  );
}

function Alert({ alert, catalog }: { alert: AlertInfo; catalog: Catalog }) {
  const { live } = useStore();
  const metric = catalog.metrics.find((each) => each.name === alert.metric);
  const unit = displayUnit(metric ?? { kind: "gauge", unit: "count" });
  const over = alert.state === "resolved";
  const end = over ? lastChange(alert) : live.agentTime(second.value);
  return (
    <li
      class="alert"
      data-alert={alert.id}
      data-rule={alert.rule}
      data-state={alert.state}
      data-severity={alert.severity}
    >
      <span class="alert-state">
        <AlertIcon severity={alert.severity} />
        {alert.severity}, {alert.state}
      </span>
      <strong>{alert.rule}</strong>
      <span class="alert-subject">{alertSubject(alert)}</span>
      <span class="alert-value">
        <span class="value" data-alert-value={alert.value ?? undefined}>
          {alert.value === null ? ABSENT : formatValue(alert.value, unit)}
        </span>{" "}
        {over ? "at the end; limit" : alert.comparison === "above" ? "is above" : "is below"}{" "}
        {formatValue(alert.threshold, unit)}
      </span>
      <span class="alert-since">
        <time title={formatDate(alert.since)}>since {formatClock(alert.since)}</time>
        {over && alert.resolvedAt !== null && <time> until {formatClock(alert.resolvedAt)}</time>}
        {` (${durationText(end - alert.since)})`}
      </span>
      {metric && (
        <a class="alert-link" href={routeHash(metric.topic, metric.chart.section || null)}>
          to its charts
        </a>
      )}
      {alert.message !== "" && <p class="alert-message">{alert.message}</p>}
    </li>
  );
}

function Rules({ rules, catalog }: { rules: readonly RuleInfo[]; catalog: Catalog }) {
  const waiting = rules.filter((rule) => rule.waitingFor !== null);
  const summary = `${rules.length} ${rules.length === 1 ? "rule" : "rules"}`;
  return (
    <details class="alerts-more">
      <summary>
        {summary}
        {waiting.length > 0 &&
          `, of which ${waiting.length} ${waiting.length === 1 ? "waits" : "wait"} for data`}
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard. */}
      <section class="scroll" tabIndex={0} aria-label="Rules">
        <table>
          <thead>
            <tr>
              <th scope="col">Rule</th>
              <th scope="col" class="rule-text">
                Watches
              </th>
              <th scope="col">Warning</th>
              <th scope="col">Critical</th>
              <th scope="col">For</th>
              <th scope="col" class="rule-text">
                State
              </th>
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <Rule key={rule.name} rule={rule} catalog={catalog} />
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

function Rule({ rule, catalog }: { rule: RuleInfo; catalog: Catalog }) {
  const metric = catalog.metrics.find((each) => each.name === rule.metric);
  const unit = displayUnit(metric ?? { kind: "gauge", unit: "count" });
  return (
    <tr>
      <th scope="row">{rule.name}</th>
      <td class="rule-text">{ruleText(rule)}</td>
      <td>{formatValue(rule.warning, unit)}</td>
      <td>{formatValue(rule.critical, unit)}</td>
      <td>{rule.forMs === 0 ? "at once" : durationText(rule.forMs)}</td>
      <td class="rule-text">{rule.waitingFor === null ? "watching" : `waiting: ${rule.waitingFor}`}</td>
    </tr>
  );
}
