/** All of one topic, section by section, in the order in which its plugin defined it. */
import { useEffect } from "preact/hooks";
import { Chart } from "../chart/Chart";
import { groupIdentity, sectionsOf } from "../model/grouping";
import type { Catalog } from "../wire";
import { Facts } from "./Facts";
import { topicTitle } from "./Navigation";
import { route } from "./route";

export function TopicView({ catalog, topic }: { catalog: Catalog; topic: string }) {
  const sections = sectionsOf(catalog, topic);
  const wanted = route.value.section;
  useEffect(() => {
    if (wanted === null) window.scrollTo({ top: 0 });
    else document.getElementById(sectionId(wanted))?.scrollIntoView({ block: "start" });
  }, [wanted]);
  return (
    <>
      <h1 class="unseen">{topicTitle(topic)}</h1>
      {sections.map((section) => (
        <section key={section.name} id={sectionId(section.name)} class="section" aria-label={section.name}>
          <h2>{section.name}</h2>
          <div class="grid">
            {section.charts.map((group) => (
              <Chart key={groupIdentity(group)} group={group} />
            ))}
          </div>
          <div class="fact-row">
            {section.facts.map((group) => (
              <Facts key={groupIdentity(group)} group={group} />
            ))}
          </div>
        </section>
      ))}
    </>
  );
}

function sectionId(name: string): string {
  return `section-${name.replace(/\W+/g, "-")}`;
}
