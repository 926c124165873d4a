/** The views, and under the open one its sections. */
import { sectionsOf, topicsOf } from "../model/grouping";
import { OVERVIEW, route, routeHash } from "./route";
import { useStore } from "./store";

export function topicTitle(topic: string): string {
  return topic.charAt(0).toUpperCase() + topic.slice(1);
}

export function Navigation() {
  const { live } = useStore();
  const catalog = live.shown.value;
  const { view, section } = route.value;
  const topics = catalog ? topicsOf(catalog) : [];
  return (
    <nav aria-label="Views">
      <ul>
        <li>
          <a href={routeHash(OVERVIEW)} aria-current={view === OVERVIEW ? "page" : undefined}>
            Overview
          </a>
        </li>
        {topics.map((topic) => (
          <li key={topic}>
            <a href={routeHash(topic)} aria-current={view === topic ? "page" : undefined}>
              {topicTitle(topic)}
            </a>
            {view === topic && catalog && (
              <ul class="sections">
                {sectionsOf(catalog, topic).map(({ name }) => (
                  <li key={name}>
                    <a href={routeHash(topic, name)} aria-current={section === name ? "true" : undefined}>
                      {name}
                    </a>
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
    </nav>
  );
}
