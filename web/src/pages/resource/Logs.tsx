import { Group, SegmentedControl, Switch, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asked } from "~/api/queries";

const LEVELS = ["WARNING", "ERROR", "CRITICAL"] as const;

/** The lines kept of a log, by level, followed where wanted; and what it usually says. */
export function Logs({ slug }: { slug: string }) {
  const [level, setLevel] = useState<string>("WARNING");
  const [follow, setFollow] = useState(true);
  const { data } = useQuery(
    asked.logs(
      slug,
      LEVELS.find((one) => one === level),
      follow,
    ),
  );
  const { data: templates } = useQuery(asked.templates(slug));
  const lines = data?.items ?? [];
  return (
    <section className="card">
      <Group justify="space-between" mb="xs">
        <h2 style={{ margin: 0, fontSize: 15 }}>Log</h2>
        <Group gap="sm">
          <SegmentedControl
            size="xs"
            aria-label="This level and worse"
            value={level}
            onChange={setLevel}
            transitionDuration={0}
            data={LEVELS.map((one) => ({ value: one, label: one.toLowerCase() }))}
          />
          <Switch
            size="sm"
            label="Follow"
            checked={follow}
            onChange={(event) => setFollow(event.currentTarget.checked)}
          />
        </Group>
      </Group>
      {lines.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing of this level was kept.
        </Text>
      ) : (
        <ul className="log" tabIndex={0} aria-label="Log lines, newest first">
          {lines.map((line) => (
            <li key={line.seq}>
              <time dateTime={line.at} title={line.at}>
                {new Date(line.at).toLocaleTimeString("en-GB")}
              </time>
              <span className={line.level}>{line.level}</span>
              <span>{line.text}</span>
            </li>
          ))}
        </ul>
      )}
      {templates && templates.items.length > 0 && (
        <details style={{ marginTop: 10 }}>
          <summary style={{ fontSize: 14 }}>What its log usually says</summary>
          <ul className="log" tabIndex={0} aria-label="Templates">
            {templates.items.map((one) => (
              <li key={one.text} style={{ gridTemplateColumns: "60px 1fr" }}>
                <span className="figure">{one.count}×</span>
                <span>{one.text}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
