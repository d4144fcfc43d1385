import { SegmentedControl, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Event } from "~/api/client";
import { asked } from "~/api/queries";
import type { Mark } from "~/components/Chart";
import { Older } from "~/components/States";
import { When } from "~/components/When";

const KINDS: Record<string, Mark["kind"]> = {
  "alert.firing": "alert",
  "fix.step.done": "fix",
  "fix.step.failed": "fix",
};
const isChange = (kind: string): boolean => !/^(alert|fix|incident)\./.test(kind);

/** What is worth a mark on the time axis: alerts that fired, steps that were done, what changed. */
export function marked(events: Event[]): Mark[] {
  return events.flatMap(({ at, kind, text }) => {
    const mark = KINDS[kind] ?? (isChange(kind) ? "change" : undefined);
    return mark ? [{ at, said: text, kind: mark }] : [];
  });
}

const SPANS = { "60": "1 h", "1440": "24 h", "10080": "7 d" };
const FEW = 40;

/** What changed about a resource and what it runs on: configuration, restarts, deployments, whoever did it. */
export function Changed({ slug }: { slug: string }) {
  const [minutes, setMinutes] = useState("1440");
  const [all, setAll] = useState(false);
  const query = useInfiniteQuery(asked.story(slug, Number(minutes)));
  const { data } = query;
  const changes = (data?.items ?? []).filter((event) => isChange(event.kind));
  return (
    <section className="card">
      <div style={{ display: "flex", justifyContent: "space-between", gap: 8, marginBottom: 8 }}>
        <h2 style={{ margin: 0, fontSize: "0.9375rem" }}>What changed</h2>
        <SegmentedControl
          size="xs"
          aria-label="Changes of the last"
          value={minutes}
          onChange={setMinutes}
          transitionDuration={0}
          data={Object.entries(SPANS).map(([value, label]) => ({ value, label }))}
        />
      </div>
      {data && changes.length === 0 && !query.hasNextPage && (
        <Text size="sm" c="dimmed">
          Nothing in this time.
        </Text>
      )}
      <ul className="story" aria-label="What changed">
        {(all ? changes : changes.slice(0, FEW)).map((event) => (
          <li key={event.seq} style={{ gridTemplateColumns: "4.75rem 1fr" }}>
            <When at={event.at} />
            <span className="said">{event.text}</span>
          </li>
        ))}
      </ul>
      {!all && changes.length > FEW && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          All {changes.length}
        </button>
      )}
      {query.hasNextPage && <Older query={query} name="events looked through" />}
    </section>
  );
}
