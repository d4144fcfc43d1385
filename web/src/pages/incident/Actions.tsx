import { Button } from "@mantine/core";
import { useState } from "react";
import { api, ask, type Event, type Schemas } from "~/api/client";
import { Act } from "~/components/Act";

interface Props {
  detail: Schemas["IncidentDetail"];
  /** On a narrow page they are behind one button: what waits comes first there. */
  folded: boolean;
}

/** What a person can do about an incident as it stands. */
export function Actions({ detail, folded }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <>
      {folded && (
        <Button size="sm" variant="default" hiddenFrom="sm" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Fewer actions" : "Other actions"}
        </Button>
      )}
      <div className={folded && !open ? "acts acts-folded" : "acts"}>
        <Acts detail={detail} />
      </div>
    </>
  );
}

/** When and by whom a fix was taken back on purpose, after it was over. */
export const takenBack = (events: Event[], fix: string): Event | undefined =>
  events.find(({ kind, subject }) => kind === "fix.taken_back" && subject === fix);

function Acts({ detail: { incident, fixes, events } }: Pick<Props, "detail">) {
  const params = { path: { key: incident.id } };
  const active = incident.status !== "closed" && incident.status !== "escalated";
  const last = fixes
    .filter(({ plan }) => !plan.undoes)
    .sort((one, other) => Date.parse(other.started_at) - Date.parse(one.started_at))[0];
  const undoable =
    last?.status === "closed" &&
    last.undo.length === 0 &&
    !takenBack(events, last.id) &&
    last.steps.some((step) => step.status === "done");
  return (
    <>
      {incident.status !== "closed" && !incident.acknowledged && (
        <Act
          label="Acknowledge"
          says="The others are told that you look after it. Watchkeeper goes on as before."
          note="optional"
          run={(note) => ask(api.POST("/api/incidents/{key}/acknowledge", { params, body: { note } }))}
        />
      )}
      {active && (
        <Act
          label="Stop"
          color="red.9"
          variant="outline"
          says="No further step is begun, and the incident is left to people. A step that is under way is finished. Nothing is taken back."
          note="optional"
          run={(note) => ask(api.POST("/api/incidents/{key}/stop", { params, body: { note, undo: false } }))}
        />
      )}
      {active && (
        <Act
          label="Escalate"
          says="The incident is handed to people: Watchkeeper tells them, and begins nothing more in it until somebody says retry."
          note="optional"
          run={(note) => ask(api.POST("/api/incidents/{key}/escalate", { params, body: { note } }))}
        />
      )}
      {(incident.status === "escalated" || incident.left) && (
        <Act
          label="Retry"
          says="Watchkeeper looks anew and tries again what policy allows."
          note="optional"
          run={(note) => ask(api.POST("/api/incidents/{key}/retry", { params, body: { note } }))}
        />
      )}
      {undoable && (
        <Act
          label="Undo"
          says={`The last fix is taken back, last step first: ${last.steps
            .filter((step) => step.status === "done")
            .map((step) => step.tool)
            .reverse()
            .join(", ")}. It is refused where a step has no undo, or where the state has moved on since.`}
          note="optional"
          run={(note) => ask(api.POST("/api/incidents/{key}/undo", { params, body: { note } }))}
        />
      )}
      {incident.status !== "closed" && (
        <Act
          label="Close"
          says="The incident is ended by hand, as done by a person. If the fault is still there, a new one opens."
          note="needed"
          run={(note) => ask(api.POST("/api/incidents/{key}/close", { params, body: { note } }))}
        />
      )}
    </>
  );
}
