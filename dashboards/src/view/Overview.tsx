/** What to look at first: components, the host, and every chart that its metric marks for the overview. */
import { Chart } from "../chart/Chart";
import { formatDate, formatValue } from "../format/units";
import { groupIdentity, sectionsOf, topicsOf } from "../model/grouping";
import type { Catalog } from "../wire";
import { Components } from "./Components";
import { Facts } from "./Facts";
import { useStore } from "./store";

const MEMORY = { unit: "bytes", perSecond: false, key: "bytes" } as const;

export function Overview({ catalog }: { catalog: Catalog }) {
  const sections = topicsOf(catalog).flatMap((topic) => sectionsOf(catalog, topic));
  const charts = sections.flatMap((section) => section.charts.filter((chart) => chart.overview));
  const facts = sections.flatMap((section) => section.facts.filter((group) => group.overview));
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <HostLine />
      <section aria-label="Components">
        <h2>Components</h2>
        <Components />
      </section>
      <section aria-label="Now">
        <h2>Now</h2>
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
