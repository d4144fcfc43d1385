import type { Health } from "~/api/client";

const SAID: Record<Health, string> = { HEALTHY: "Healthy", DEGRADED: "Degraded", FAILED: "Failed", UNKNOWN: "Unknown" };

/** A shape of its own for each health: colour alone tells some people nothing. */
export function HealthMark({ health, size = 16 }: { health: Health; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      className={`mark mark-${health.toLowerCase()}`}
      aria-hidden="true"
    >
      {health === "HEALTHY" && (
        <>
          <circle cx="8" cy="8" r="7" />
          <path d="M4.8 8.3l2.2 2.2 4.2-4.6" className="mark-ink" />
        </>
      )}
      {health === "DEGRADED" && (
        <>
          <path d="M8 1.2l7.2 13.2H.8z" />
          <path d="M8 6v4M8 11.6v1.2" className="mark-ink" />
        </>
      )}
      {health === "FAILED" && (
        <>
          <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" />
          <path d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" className="mark-ink" />
        </>
      )}
      {health === "UNKNOWN" && <circle cx="8" cy="8" r="6.2" className="mark-hollow" />}
    </svg>
  );
}

export function HealthBadge({ health }: { health: Health }) {
  return (
    <span className={`health health-${health.toLowerCase()}`}>
      <HealthMark health={health} />
      {SAID[health]}
    </span>
  );
}
