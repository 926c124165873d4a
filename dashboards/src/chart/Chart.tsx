/** One chart's card: its title and buttons, the plot or the table, and the legend with current values. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type DisplayUnit, formatClock, formatDate, formatValue } from "../format/units";
import type { ChartGroup } from "../model/grouping";
import { type Range, rangeText } from "../model/range";
import { dark, palette } from "../preference";
import { AlertIcon } from "../view/AlertIcon";
import { OVERVIEW, range, routeHash } from "../view/route";
import { useStore } from "../view/store";
import { ChartModel, SHOWN_MANY } from "./model";
import type { Stroke } from "./palette";
import { LAYER_OPACITY } from "./plot";
import type { ChartRow } from "./rows";

export function Chart({ group }: { group: ChartGroup }) {
  const { live, pacer } = useStore();
  const [model] = useState(() => new ChartModel(live, group));
  const element = useRef<HTMLElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const asTable = model.asTable.value;
  const face = model.face.value;

  useEffect(() => {
    const card = element.current as HTMLElement;
    const plotHost = host.current as HTMLDivElement;
    model.attach(card, plotHost);
    pacer.add(card, model);
    const sizes = new ResizeObserver(() => model.resize(plotHost.clientWidth, plotHost.clientHeight));
    sizes.observe(plotHost);
    return () => {
      sizes.disconnect();
      pacer.remove(card);
      model.detach();
    };
  }, [model, pacer]);

  const shown = range.value;
  const look = `${palette.value} ${dark.value}`;
  useEffect(() => pacer.request(), [look, shown, pacer]);

  const rows = face?.rows ?? [];
  // A series that is all that the chart's title says needs no legend: its value stands beside the title.
  const lone = !asTable && rows.length === 1 && rows[0]?.name === group.title ? rows[0] : null;
  const past = model.past.value;
  const empty = face && rows.length === 0 && past.phase !== "failed" && (
    <p class="chart-empty">
      <span>{past.phase === "loading" ? "Loading…" : `No samples ${stretch(shown)}`}</span>
    </p>
  );
  return (
    <section
      ref={element}
      class="chart"
      data-chart={group.key}
      data-past={past.phase}
      aria-label={group.title}
    >
      <header class="chart-head">
        <h3>{group.title}</h3>
        <ChartAlerts model={model} />
        {!asTable && <CrosshairTime model={model} />}
        {lone && (
          <span class="headline">
            <Value row={lone} />
          </span>
        )}
        <button
          type="button"
          class="quiet"
          aria-pressed={asTable}
          aria-label={`${group.title}: show as table`}
          title={asTable ? "Show as chart" : "Show as table"}
          onClick={() => model.toggleTable()}
        >
          {asTable ? <ChartIcon /> : <TableIcon />}
        </button>
      </header>
      <div class="plot" hidden={asTable}>
        <div
          ref={host}
          class="plot-host"
          role="img"
          aria-label={`${group.title}, ${group.unit.key}: ${rangeText(shown)}. Its values stand beside it, and in its table.`}
        />
        {empty}
      </div>
      {asTable && empty}
      <ChartNote model={model} />
      {asTable ? (
        <Table group={group} rows={rows} ended={shown.kind === "absolute"} />
      ) : (
        !lone && <Legend rows={rows} layers={group.style === "stacked"} />
      )}
      {!asTable && face && (face.more > 0 || model.expanded.value) && (
        <button type="button" class="quiet more" onClick={() => model.toggleExpanded()}>
          {model.expanded.value
            ? `show fewer${face.more > 0 ? ` (the largest ${SHOWN_MANY} are shown)` : ""}`
            : `+${face.more} more`}
        </button>
      )}
    </section>
  );
}

function stretch(shown: Range): string {
  return `${shown.kind === "preset" ? "in" : "from"} ${rangeText(shown)}`;
}

function CrosshairTime({ model }: { model: ChartModel }) {
  const at = model.crosshairAt.value;
  if (at === null) return null;
  const today = formatDate(at).slice(0, 10) === formatDate(Date.now()).slice(0, 10);
  return <time class="chart-at">{today ? formatClock(at) : formatDate(at).slice(5)}</time>;
}

/** What is wrong with the past of this chart. */
function ChartNote({ model }: { model: ChartModel }) {
  const past = model.past.value;
  const incomplete = model.incomplete.value;
  if (past.phase === "failed") {
    return (
      <p class="chart-note bad" role="status">
        History could not be read: {past.why}. Trying again at {formatClock(past.retryAt)}.
      </p>
    );
  }
  return incomplete === null ? null : <p class="chart-note">Not everything is here: {incomplete}</p>;
}

/** The alerts that are marked on the chart, in words. */
function ChartAlerts({ model }: { model: ChartModel }) {
  const active = model.alerts.value.filter((alert) => alert.state !== "resolved");
  const [worst] = active;
  if (!worst) return null;
  const more = active.length > 1 ? ` +${active.length - 1}` : "";
  return (
    <a
      class="chart-alert"
      href={routeHash(OVERVIEW)}
      data-severity={worst.severity}
      data-state={worst.state}
      title={active.map((alert) => alert.message).join("\n")}
    >
      <AlertIcon severity={worst.severity} />
      {worst.rule} {worst.state}
      {more}
    </a>
  );
}

/** Names up to the first leave room for a third column in a card, names beyond the second need a wide one. */
const SHORT_NAME = 7;
const LONG_NAME = 13;

function Legend({ rows, layers }: { rows: readonly ChartRow[]; layers: boolean }) {
  const longest = Math.max(...rows.map((row) => row.name.length));
  const width = longest > LONG_NAME ? " wide" : longest <= SHORT_NAME ? " narrow" : "";
  return (
    <ul class={`legend${width}`}>
      {rows.map((row) => (
        <li key={row.key} title={`${row.name}: ${row.help}`}>
          <Swatch stroke={row.stroke} layer={layers} />
          <span class="legend-name">{row.name}</span>
          <Value row={row} />
        </li>
      ))}
    </ul>
  );
}

function Value({ row }: { row: ChartRow }) {
  const reading = row.reading.value;
  const stale = reading?.value == null;
  return (
    <span
      class={stale ? "value stale" : "value"}
      title={stale && reading ? `no current value; last heard of at ${formatClock(reading.at)}` : undefined}
      data-metric={row.line.metric}
      data-labels={row.labelsKey}
      data-value={reading?.value ?? undefined}
      data-at={reading?.at}
      data-pointed={row.pointed.value?.value ?? undefined}
      data-pointed-at={row.pointed.value?.at}
    >
      {row.text}
    </span>
  );
}

function Table({ group, rows, ended }: { group: ChartGroup; rows: readonly ChartRow[]; ended: boolean }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard.
    <section class="scroll" tabIndex={0} aria-label={`${group.title}: table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">{ended ? "Last" : "Now"}</th>
            <th scope="col">Min</th>
            <th scope="col">Mean</th>
            <th scope="col">Max</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row" title={row.help}>
                {row.name}
              </th>
              <td>
                <Value row={row} />
              </td>
              <Figures row={row} unit={group.unit} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Figures({ row, unit }: { row: ChartRow; unit: DisplayUnit }) {
  const summary = row.summary.value;
  return (
    <>
      <td>{formatValue(summary?.min, unit)}</td>
      <td>{formatValue(summary?.avg, unit)}</td>
      <td>{formatValue(summary?.max, unit)}</td>
    </>
  );
}

/** A piece of the line itself, dashes included, or of the layer. */
function Swatch({ stroke, layer }: { stroke: Stroke; layer: boolean }) {
  if (layer) {
    return (
      <svg class="swatch" width="10" height="10" aria-hidden="true">
        <rect width="10" height="10" rx="2" fill={stroke.color} fill-opacity={LAYER_OPACITY} />
      </svg>
    );
  }
  return (
    <svg class="swatch" width="18" height="8" aria-hidden="true">
      <line
        x1="0"
        y1="4"
        x2="18"
        y2="4"
        stroke={stroke.color}
        stroke-width="2.5"
        stroke-dasharray={
          stroke.dash.length > 0 ? stroke.dash.map((part) => part * 0.7).join(" ") : undefined
        }
      />
    </svg>
  );
}

function TableIcon() {
  return (
    <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
      <path d="M1.5 2.5h11v9h-11zM1.5 5.5h11M1.5 8.5h11M5.5 5.5v6" fill="none" stroke="currentColor" />
    </svg>
  );
}

function ChartIcon() {
  return (
    <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
      <path d="M1.5 1.5v11h11M3.5 9.5l3-4 2 2 3.5-5" fill="none" stroke="currentColor" />
    </svg>
  );
}
