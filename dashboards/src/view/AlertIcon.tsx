/** The severity of an alert as a shape: two that differ without their colour. */
import type { AlertInfo } from "../wire";

export function AlertIcon({ severity }: { severity: AlertInfo["severity"] }) {
  const critical = severity === "critical";
  return (
    <svg
      class="alert-icon"
      data-severity={severity}
      width="14"
      height="14"
      viewBox="0 0 14 14"
      aria-hidden="true"
    >
      <path
        class="alert-shape"
        d={critical ? "M4.4 1h5.2L13 4.4v5.2L9.6 13H4.4L1 9.6V4.4z" : "M7 1.6 13 12.5H1z"}
      />
      <path class="alert-sign" d={critical ? "M7 3.8v3.8M7 9.6v.7" : "M7 5.6v3.2M7 10.4v.5"} />
    </svg>
  );
}
