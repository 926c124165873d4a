/** Which stretch of time the charts show: presets, any two moments, back and forth, and out of a zoom. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import {
  absolute,
  narrowed,
  PRESETS,
  type Preset,
  rangeLabel,
  rangeQuery,
  SPAN_MAX_MS,
  SPAN_MIN_MS,
  shifted,
  spanOf,
  widened,
} from "../model/range";
import { inputTime, parseInputTime } from "./input-time";
import { range, setRange, zoomBack, zoomedFrom, zoomTo } from "./route";
import { useStore } from "./store";

const LABELS: Record<Preset, string> = {
  live: "Live",
  "5m": "5 m",
  "15m": "15 m",
  "1h": "1 h",
  "6h": "6 h",
  "24h": "24 h",
};
const NAMES: Record<Preset, string> = {
  live: "Live: the last two minutes",
  "5m": "The last 5 minutes",
  "15m": "The last 15 minutes",
  "1h": "The last hour",
  "6h": "The last 6 hours",
  "24h": "The last 24 hours",
};

export function RangePicker() {
  const { live } = useStore();
  const open = useSignal(false);
  const shown = range.value;
  const zoomed = zoomedFrom.value.length > 0;
  useEscape(open);
  const now = () => live.now();
  return (
    <section class="ranges" aria-label="Time range" data-range={rangeQuery(shown) || "range=live"}>
      <fieldset class="presets">
        <legend class="unseen">Time range</legend>
        {PRESETS.map((name) => (
          <label key={name} class="preset" title={NAMES[name]}>
            <input
              type="radio"
              name="range"
              value={name}
              aria-label={NAMES[name]}
              checked={shown.kind === "preset" && shown.name === name}
              onChange={() => setRange({ kind: "preset", name })}
            />
            <span>{LABELS[name]}</span>
          </label>
        ))}
        <button
          type="button"
          class={shown.kind === "absolute" ? "preset-custom chosen" : "preset-custom"}
          aria-expanded={open.value}
          aria-label={shown.kind === "absolute" ? `From ${rangeLabel(shown, now())}: change` : "From … to …"}
          onClick={() => {
            open.value = !open.value;
          }}
        >
          {shown.kind === "absolute" ? rangeLabel(shown, now()) : "From…"}
        </button>
      </fieldset>
      <div class="range-steps">
        <Step name="Earlier" text="‹" act={() => zoomTo(shifted(shown, now(), -1))} />
        <Step
          name="Later"
          text="›"
          act={() => zoomTo(shifted(shown, now(), 1))}
          off={shown.kind === "preset"}
        />
        <Step name="Half the time" text="+" act={() => zoomTo(narrowed(shown, now()))} />
        <Step name="Twice the time" text="−" act={() => zoomTo(widened(shown, now()))} />
        {(zoomed || shown.kind === "absolute") && (
          <button
            type="button"
            class="quiet zoom-back"
            title="Escape, or a double click on a chart"
            onClick={zoomBack}
          >
            {zoomed ? "Back" : "To live"}
          </button>
        )}
      </div>
      {open.value && (
        <Moments
          key={rangeQuery(shown)}
          close={() => {
            open.value = false;
          }}
        />
      )}
    </section>
  );
}

function Step({
  name,
  text,
  act,
  off = false,
}: {
  name: string;
  text: string;
  act: () => void;
  off?: boolean;
}) {
  return (
    <button type="button" class="quiet step" aria-label={name} title={name} disabled={off} onClick={act}>
      {text}
    </button>
  );
}

/** Two moments; what stands in them at first is what the charts show. */
function Moments({ close }: { close: () => void }) {
  const { live } = useStore();
  const span = spanOf(range.value, live.now());
  const from = useRef<HTMLInputElement>(null);
  const to = useRef<HTMLInputElement>(null);
  const problem = useSignal("");
  useEffect(() => from.current?.focus(), []);
  const apply = (event: Event) => {
    event.preventDefault();
    const [first, last] = [from, to].map((input) => parseInputTime(input.current?.value ?? ""));
    const chosen = first == null || last == null ? null : absolute(first, last);
    if (chosen) {
      setRange(chosen);
      close();
      return;
    }
    if (first == null || last == null) problem.value = "Give both a date and a time.";
    else if (last - first > SPAN_MAX_MS) problem.value = "Two years are kept at most.";
    else problem.value = `“To” must be ${SPAN_MIN_MS / 1_000} seconds after “from” or later.`;
  };
  return (
    <form class="moments" aria-label="From and to" onSubmit={apply}>
      <label>
        From
        <input
          ref={from}
          type="datetime-local"
          name="from"
          step="1"
          required
          defaultValue={inputTime(span.from)}
        />
      </label>
      <label>
        To
        <input ref={to} type="datetime-local" name="to" step="1" required defaultValue={inputTime(span.to)} />
      </label>
      <button type="submit" class="plain">
        Show
      </button>
      <button type="button" class="quiet" onClick={close}>
        Cancel
      </button>
      <p class="moments-problem" role="status">
        {problem.value}
      </p>
    </form>
  );
}

/** Escape closes what is open, and else leads out of a zoom, unless something is being typed. */
function useEscape(open: { value: boolean }): void {
  useEffect(() => {
    const react = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      if (open.value) open.value = false;
      else if (!(event.target instanceof HTMLInputElement && event.target.type !== "radio")) zoomBack();
    };
    document.addEventListener("keydown", react);
    return () => document.removeEventListener("keydown", react);
  }, [open]);
}
