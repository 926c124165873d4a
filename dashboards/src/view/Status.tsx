/** The connection's state, always in sight. */

import { statusText } from "./status-text";
import { useStore } from "./store";
import { second } from "./ticker";

export function Status() {
  const { live } = useStore();
  const state = live.connection.value;
  const now =
    state.phase === "stale" || state.phase === "reconnecting"
      ? Math.max(second.value, state.since)
      : state.since;
  const text = statusText(state, now);
  return (
    <div class="status" data-connection={state.phase}>
      <span class="dot" aria-hidden="true" />
      <span class="status-label">{text.label}</span>
      {text.detail && <span class="status-detail">{text.detail}</span>}
      {state.phase === "reconnecting" && state.retryAt !== null && (
        <button type="button" class="quiet" onClick={() => live.retryNow()}>
          Retry now
        </button>
      )}
      <span class="unseen" aria-live="polite">
        {text.announcement}
      </span>
    </div>
  );
}
