import { Link } from "@tanstack/react-router";
import type { Incident } from "~/api/client";
import { IncidentStatus } from "./Status";
import { When } from "./When";

/** Incidents in short, each a line with a link to its story. */
export function IncidentLines({ incidents }: { incidents: Incident[] }) {
  return (
    <ul className="story">
      {incidents.map((incident) => (
        <li key={incident.id} style={{ gridTemplateColumns: "4.75rem 1fr auto" }}>
          <When at={incident.opened_at} />
          <Link to="/incidents/$key" params={{ key: incident.id }} className="said">
            {incident.title}
          </Link>
          <IncidentStatus incident={incident} />
        </li>
      ))}
    </ul>
  );
}
