/** What to look at first: components, the host, and every chart that its metric marks for the overview. */
import { Chart } from "../chart/Chart";
import { formatDate, formatValue } from "../format/units";
import { groupIdentity, sectionsOf, topicsOf } from "../model/grouping";
import { rangeText } from "../model/range";
import type { Catalog } from "../wire";
import { Alerts } from "./Alerts";
import { Components } from "./Components";
import { Facts } from "./Facts";
import { range } from "./route";
import { useStore } from "./store";

const MEMORY = { unit: "bytes", perSecond: false, key: "bytes" } as const;

export function Overview({ catalog }: { catalog: Catalog }) {
  const shown = range.value;
  const sections = topicsOf(catalog).flatMap((topic) => sectionsOf(catalog, topic));
  const charts = sections.flatMap((section) => section.charts.filter((chart) => chart.overview));
  const facts = sections.flatMap((section) => section.facts.filter((group) => group.overview));
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <HostLine />
      <Alerts catalog={catalog} />
      <section aria-label="Components">
        <h2>Components</h2>
        <Components />
      </section>
      <section aria-label="Charts">
        <h2>{shown.kind === "preset" && shown.name === "live" ? "Now" : capital(rangeText(shown))}</h2>
        <div class="grid">
          {charts.map((group) => (
            <Chart key={groupIdentity(group)} group={group} />
          ))}
        </div>
        <div class="fact-row">
          {facts.map((group) => (
            <Facts key={groupIdentity(group)} group={group} />
          ))}
        </div>
        {charts.length === 0 && <p class="note">No metric is marked for the overview.</p>}
      </section>
    </>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function HostLine() {
  const { live } = useStore();
  const initial = live.initial.value;
  if (!initial) return null;
  const { host } = initial;
  const facts: [string, string][] = [
    ["host", host.hostname],
    ["system", host.os],
    ["kernel", host.kernel],
    ["processor", `${host.cpus} × ${host.arch}`],
    ["memory", formatValue(host.memoryBytes, MEMORY)],
    ["agent", `${initial.version}, started ${formatDate(initial.startedAt)}`],
  ];
  return (
    <dl class="host">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
