import { Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
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

const [FIRST, LAST, MANY] = [3, 2, 8];

/** What is told of a story at first: of many of one kind in a row the first and the last few, and how many lie between. */
export function folded(events: Event[], whole = false): { event: Event; more: number }[] {
  const told: { event: Event; more: number }[] = [];
  for (let from = 0; from < events.length;) {
    let to = from;
    while (events[to]?.kind === events[from]?.kind) to++;
    const run = events.slice(from, to);
    const shown = whole || run.length < MANY ? run : [...run.slice(0, FIRST), ...run.slice(-LAST)];
    told.push(
      ...shown.map((event, index) => ({
        event,
        more: index === FIRST && run !== shown ? run.length - shown.length : 0,
      })),
    );
    from = to;
  }
  return told;
}

/** The events of an incident in their order, each with how long after it opened; what a long one leaves out, on request. */
export function Story({ detail }: { detail: Schemas["IncidentDetail"] }) {
  const { incident, events, events_left_out_after: gap } = detail;
  const begin = Date.parse(incident.opened_at);
  const next = events.find(({ seq }) => gap !== null && seq > gap)?.seq ?? Infinity;
  const between = useQuery(asked.leftOut(incident.id, gap ?? 0, next));
  const [every, setEvery] = useState(false);
  const told = inOrder(between.data ? [...events, ...between.data] : events);
  const broken = gap !== null && !between.data;
  const parts = broken ? [told.filter(({ seq }) => seq <= gap), told.filter(({ seq }) => seq > gap)] : [told];
  const whole = every || between.data !== undefined;
  return (
    <ol className="story" aria-label="Time line">
      {parts.map((part, index) => (
        <Fragment key={index}>
          {index > 0 && (
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
          {folded(part, whole).map(({ event, more }) => (
            <Fragment key={event.seq}>
              {more > 0 && (
                <li className="gap">
                  <button type="button" className="link" onClick={() => setEvery(true)}>
                    {more} more of {event.kind}
                  </button>
                </li>
              )}
              <Moment event={event} begin={begin} />
            </Fragment>
          ))}
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
