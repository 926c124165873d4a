/** The frame around every view: name, status, choices, navigation. */
import { useSignalEffect } from "@preact/signals";
import { nextPalette, nextTheme, palette, theme } from "../preference";
import { AlertBadge } from "./Alerts";
import { Navigation } from "./Navigation";
import { Overview } from "./Overview";
import { PluginsView } from "./Plugins";
import { RangePicker } from "./RangePicker";
import { OVERVIEW, PLUGINS, route, routeHash } from "./route";
import { Status } from "./Status";
import { useStore } from "./store";
import { TopicView } from "./Topic";

export function App() {
  const { live } = useStore();
  useSignalEffect(() => {
    const host = live.initial.value?.host.hostname;
    const lost = live.connection.value.phase === "reconnecting";
    const firing = live.alerts.firing.value.length;
    const mark = lost ? "(disconnected) " : firing > 0 ? `(${firing}) ` : "";
    document.title = `${mark}${host ? `${host} · ` : ""}Barograph`;
  });
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the charts
      </button>
      <header class="top">
        <div class="brand">
          <Mark />
          <span class="brand-name">Barograph</span>
          <span class="brand-host">{live.initial.value?.host.hostname ?? ""}</span>
        </div>
        <Status />
        <AlertBadge />
        <RangePicker />
        <div class="choices">
          <button type="button" class="quiet" onClick={nextPalette} title="Palette of the lines">
            <span class="choice-name">palette: </span>
            {palette.value}
          </button>
          <button type="button" class="quiet" onClick={nextTheme} title="Light, dark, or as the system says">
            <span class="choice-name">theme: </span>
            {theme.value}
          </button>
        </div>
      </header>
      <div class="frame" data-phase={live.connection.value.phase}>
        <Navigation />
        <main id="main" tabIndex={-1}>
          <Notices />
          <View />
        </main>
      </div>
    </>
  );
}

function View() {
  const { live } = useStore();
  const catalog = live.shown.value;
  const { view } = route.value;
  if (view === PLUGINS) return <PluginsView />;
  if (!catalog) {
    const problem = live.catalogProblem.value;
    return (
      <p class="note" role="status">
        {problem === null ? "Loading…" : `The list of metrics could not be read: ${problem}. Trying again.`}
      </p>
    );
  }
  if (view === OVERVIEW) return <Overview catalog={catalog} />;
  if (catalog.metrics.some((metric) => metric.topic === view)) {
    return <TopicView key={view} catalog={catalog} topic={view} />;
  }
  return (
    <p class="note">
      Nothing measures “{view}” on this machine. <a href={routeHash(OVERVIEW)}>To the overview</a>
    </p>
  );
}

function Notices() {
  const { live } = useStore();
  const refusal = live.refusal.value;
  const { phase } = live.connection.value;
  return (
    <>
      {refusal && (
        <p class="note bad" role="status">
          The agent refused a request of this page: {refusal.message}
        </p>
      )}
      {(phase === "stale" || phase === "reconnecting") && live.initial.value && (
        <p class="note bad">
          What is shown below ended when the agent was last heard of; the charts go on as soon as it is back.
        </p>
      )}
    </>
  );
}

function Mark() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <path
        d="M3 22c3-1 4-11 8-11s3 11 7 11 3-16 6-16 2 7 5 8"
        fill="none"
        stroke="currentColor"
        stroke-width="3"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
