/** The views, and under the open one its sections. */
import { sectionsOf, topicsOf } from "../model/grouping";
import type { Catalog } from "../wire";
import { OVERVIEW, PLUGINS, route, routeHash } from "./route";
import { useStore } from "./store";

export function topicTitle(topic: string): string {
  return topic.charAt(0).toUpperCase() + topic.slice(1);
}

export function Navigation() {
  const { live } = useStore();
  const catalog = live.shown.value;
  const { view } = route.value;
  const topics = catalog ? topicsOf(catalog) : [];
  return (
    <nav aria-label="Views">
      <ul>
        <li>
          <a href={routeHash(OVERVIEW)} aria-current={view === OVERVIEW ? "page" : undefined}>
            Overview
            <FiringCount />
          </a>
        </li>
        {topics.map((topic) => (
          <li key={topic}>
            <a href={routeHash(topic)} aria-current={view === topic ? "page" : undefined}>
              {topicTitle(topic)}
            </a>
            {view === topic && catalog && <Sections names={sectionNames(catalog, topic)} topic={topic} />}
          </li>
        ))}
        <li>
          <a href={routeHash(PLUGINS)} aria-current={view === PLUGINS ? "page" : undefined}>
            Plugins
          </a>
        </li>
      </ul>
    </nav>
  );
}

function FiringCount() {
  const { live } = useStore();
  const firing = live.alerts.firing.value;
  if (firing.length === 0) return null;
  const critical = firing.some((alert) => alert.severity === "critical");
  return (
    <span class="nav-count" data-severity={critical ? "critical" : "warning"}>
      {firing.length} firing
    </span>
  );
}

/** A topic's only section needs no entry of its own. */
function sectionNames(catalog: Catalog, topic: string): string[] {
  const names = sectionsOf(catalog, topic).map((section) => section.name);
  return names.length > 1 ? names : [];
}

function Sections({ names, topic }: { names: readonly string[]; topic: string }) {
  if (names.length === 0) return null;
  return (
    <ul class="sections">
      {names.map((name) => (
        <li key={name}>
          <a href={routeHash(topic, name)} aria-current={route.value.section === name ? "true" : undefined}>
            {name}
          </a>
        </li>
      ))}
    </ul>
  );
}
