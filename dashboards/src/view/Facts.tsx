/** A card of values that are read rather than drawn. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { readingAt } from "../chart/window";
import { type Fact, type FactGrid, type FactSheet, layFacts } from "../model/facts";
import type { FactGroup } from "../model/grouping";
import { GAP_INTERVALS } from "../model/track";
import { useStore } from "./store";

export function Facts({ group }: { group: FactGroup }) {
  const { live, pacer } = useStore();
  const sheet = useSignal<FactSheet | null>(null);
  const element = useRef<HTMLElement>(null);

  useEffect(() => {
    const card = element.current as HTMLElement;
    const draw = (now: number) => {
      const sources = group.metrics.flatMap((metric) =>
        live.history
          .of(metric.name)
          .filter((series) => series.sampledAt > 0)
          .map((series) => {
            const reading = readingAt(series, now, GAP_INTERVALS * series.track.intervalMs);
            return {
              metric,
              labels: series.labels,
              labelsKey: series.labelsKey,
              value: reading?.value ?? null,
            };
          }),
      );
      sheet.value = layFacts(sources, group.title);
    };
    pacer.add(card, { draw });
    return () => pacer.remove(card);
  }, [group, live, pacer, sheet]);

  const { list, grid } = sheet.value ?? { list: [], grid: null };
  return (
    <section ref={element} class="chart facts" data-facts={group.key} aria-label={group.title}>
      <header class="chart-head">
        <h3>{group.title}</h3>
      </header>
      {list.length > 0 && (
        <dl class="fact-list">
          {list.map((fact) => (
            <div key={`${fact.name} ${fact.source?.metric.name ?? ""}${fact.source?.labelsKey ?? ""}`}>
              <dt class={fact.name === group.title ? "unseen" : undefined} title={fact.source?.metric.help}>
                {fact.name}
              </dt>
              <dd>
                <FactValue fact={fact} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {grid && <Grid grid={grid} title={group.title} />}
      {sheet.value && list.length === 0 && !grid && <p class="chart-empty">No samples yet</p>}
    </section>
  );
}

function Grid({ grid, title }: { grid: FactGrid; title: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard.
    <section class="scroll" tabIndex={0} aria-label={`${title}: table`}>
      <table>
        <thead>
          <tr>
            <td />
            {grid.columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grid.rows.map((row) => (
            <tr key={row.name}>
              <th scope="row">{row.name}</th>
              {row.cells.map((cell, index) => (
                <td key={grid.columns[index]}>{cell && <FactValue fact={cell} />}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function FactValue({ fact }: { fact: Fact }) {
  const { source } = fact;
  if (!source) return <span class="value">{fact.text}</span>;
  return (
    <span
      class={source.value === null ? "value stale" : "value"}
      data-metric={source.metric.name}
      data-labels={source.labelsKey}
      data-value={source.value ?? undefined}
    >
      {fact.text}
    </span>
  );
}
