import type { Fix, Incident } from "~/api/client";

export function IncidentStatus({ incident }: { incident: Pick<Incident, "status" | "outcome" | "said"> }) {
  return <span className={`status status-${incident.outcome ?? incident.status}`}>{incident.said}</span>;
}

export function Verdict({ fix }: { fix: Pick<Fix, "said"> }) {
  return <span className={`status status-${fix.said.replace(" ", "_")}`}>{fix.said}</span>;
}
