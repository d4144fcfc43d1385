import type { Event } from "~/api/client";
import { seconds } from "~/components/figures";

/** What kind of moment it is, for its mark. */
export function dot(kind: string): string {
  if (/healed$|recovered|closed|resolved/.test(kind) && !kind.includes("not_healed")) return "dot dot-good";
  if (kind.startsWith("alert") || kind.includes("escalated") || kind.includes("not_healed")) return "dot dot-alert";
  if (kind.startsWith("approval")) return "dot dot-approval";
  if (kind.startsWith("fix") || kind.startsWith("plan")) return "dot dot-fix";
  return "dot";
}

/** In their order; of what a step says on and on, the last. */
export function inOrder(events: Event[]): Event[] {
  const ordered = [...events].sort((one, other) => Date.parse(one.at) - Date.parse(other.at) || one.seq - other.seq);
  const said = ({ kind, subject }: Event) => (kind === "fix.step.said" ? subject : "");
  return ordered.filter((event, index) => {
    const next = ordered[index + 1];
    return !said(event) || !next || said(next) !== said(event);
  });
}

/** The events of an incident in their order, each with how long after it opened. */
export function Story({ events, opened }: { events: Event[]; opened: string }) {
  const begin = Date.parse(opened);
  return (
    <ol className="story" aria-label="Time line">
      {inOrder(events).map((event) => {
        const after = (Date.parse(event.at) - begin) / 1000;
        return (
          <li key={event.seq}>
            <span className="offset" title={new Date(event.at).toLocaleString("en-GB")}>
              {after < 0 ? "−" : "+"}
              {seconds(Math.abs(after))}
            </span>
            <i className={dot(event.kind)} aria-hidden="true" />
            <span className="said">
              {event.text} <span className="kind">{event.kind}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}
