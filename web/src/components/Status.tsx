import type { Fix, Incident } from "~/api/client";

interface Props {
  incident: Pick<Incident, "status" | "outcome" | "said">;
  /** It is known what would be done, and that is not begun: in mode observe. */
  told?: boolean;
}

export function IncidentStatus({ incident, told = false }: Props) {
  const said = told && incident.status === "diagnosing" ? "only told of" : incident.said;
  return <span className={`status status-${incident.outcome ?? incident.status}`}>{said}</span>;
}

export function Verdict({ fix }: { fix: Pick<Fix, "said"> }) {
  return <span className={`status status-${fix.said.replace(" ", "_")}`}>{fix.said}</span>;
}
