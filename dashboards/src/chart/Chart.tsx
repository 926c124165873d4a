/** One chart's card: its title and buttons, the plot or the table, and the legend with current values. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type DisplayUnit, formatClock, formatValue } from "../format/units";
import type { ChartGroup } from "../model/grouping";
import { dark, palette } from "../preference";
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

  const look = `${palette.value} ${dark.value}`;
  useEffect(() => pacer.request(), [look, pacer]);

  const rows = face?.rows ?? [];
  // A series that is all that the chart's title says needs no legend: its value stands beside the title.
  const lone = !asTable && rows.length === 1 && rows[0]?.name === group.title ? rows[0] : null;
  const empty = face && rows.length === 0 && <p class="chart-empty">No samples in the last five minutes</p>;
  return (
    <section ref={element} class="chart" data-chart={group.key} aria-label={group.title}>
      <header class="chart-head">
        <h3>{group.title}</h3>
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
          aria-label={`${group.title}, ${group.unit.key}: the last five minutes. Its values stand beside it, and in its table.`}
        />
        {empty}
      </div>
      {asTable && empty}
      {asTable ? (
        <Table group={group} rows={rows} />
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

function CrosshairTime({ model }: { model: ChartModel }) {
  const at = model.crosshairAt.value;
  return at === null ? null : <time class="chart-at">{formatClock(at)}</time>;
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
      data-metric={row.series.metric}
      data-labels={row.labelsKey}
      data-value={reading?.value ?? undefined}
      data-at={reading?.at}
    >
      {row.text}
    </span>
  );
}

function Table({ group, rows }: { group: ChartGroup; rows: readonly ChartRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard.
    <section class="scroll" tabIndex={0} aria-label={`${group.title}: table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">Now</th>
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
