import { Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import type { Event, Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { seconds } from "~/components/figures";
import { Failed } from "~/components/States";

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

/** The events of an incident in their order, each with how long after it opened; what a long one leaves out, on request. */
export function Story({ detail }: { detail: Schemas["IncidentDetail"] }) {
  const { incident, events, events_left_out_after: gap } = detail;
  const begin = Date.parse(incident.opened_at);
  const next = events.find(({ seq }) => gap !== null && seq > gap)?.seq ?? Infinity;
  const between = useQuery(asked.leftOut(incident.id, gap ?? 0, next));
  const told = inOrder(between.data ? [...events, ...between.data] : events);
  const broken = gap !== null && !between.data;
  return (
    <ol className="story" aria-label="Time line">
      {told.map((event, index) => (
        <Fragment key={event.seq}>
          {broken && event.seq > gap && (told[index - 1]?.seq ?? Infinity) <= gap && (
            <li className="gap">
              <Group gap="sm">
                <Text size="sm" c="dimmed">
                  More happened between.
                </Text>
                <Button size="xs" variant="default" loading={between.isFetching} onClick={() => void between.refetch()}>
                  Show it
                </Button>
                {between.error && <Failed error={between.error} />}
              </Group>
            </li>
          )}
          <Moment event={event} begin={begin} />
        </Fragment>
      ))}
    </ol>
  );
}

function Moment({ event, begin }: { event: Event; begin: number }) {
  const after = (Date.parse(event.at) - begin) / 1000;
  return (
    <li>
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
}
