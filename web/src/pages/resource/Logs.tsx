import { Button, Group, SegmentedControl, Switch, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Schemas } from "~/api/client";
import { asked, client, type Level } from "~/api/queries";
import { follow } from "~/api/stream";

const LEVELS: Level[] = ["WARNING", "ERROR", "CRITICAL"];
const MOST = 2000; // lines that are kept while it is followed
type Lines = Schemas["Page_LineView_"];

/** The lines kept of a log, by level and text, with each new one as it comes; and what it usually says. */
export function Logs({ slug }: { slug: string }) {
  const [level, setLevel] = useState<Level>("WARNING");
  const [following, setFollowing] = useState(true);
  const [typed, setTyped] = useState("");
  const [text] = useDebouncedValue(typed, 300);
  const { data } = useQuery(asked.logs(slug, level, text));
  const { data: templates } = useQuery(asked.templates(slug));
  const loaded = data !== undefined;
  const newest = data?.items[0]?.seq;
  useEffect(() => {
    if (!following || !loaded) return;
    const key = asked.logs(slug, level, text).queryKey;
    const begin = client.getQueryData<Lines>(key)?.items[0]?.seq;
    return follow(
      (after) => {
        const query = new URLSearchParams({ resource: slug, level, text });
        const from = after || (begin === undefined ? "" : String(begin));
        if (from) query.set("after", from);
        return `/api/logs?${query}`;
      },
      ({ data: said }) => {
        const line = JSON.parse(said) as Schemas["LineView"];
        if (typeof line.seq !== "number") return;
        client.setQueryData<Lines>(key, (known) =>
          known && !known.items.some(({ seq }) => seq === line.seq)
            ? { ...known, items: [line, ...known.items].slice(0, MOST) }
            : known,
        );
      },
    );
  }, [slug, level, text, following, loaded]);
  const lines = data?.items ?? [];
  async function older() {
    const key = asked.logs(slug, level, text).queryKey;
    const more = await client.fetchQuery({ ...asked.logs(slug, level, text, data?.next), staleTime: Infinity });
    client.setQueryData<Lines>(key, (known) => (known ? { ...more, items: [...known.items, ...more.items] } : known));
  }
  return (
    <section className="card">
      <Group justify="space-between" mb="xs">
        <h2 style={{ margin: 0, fontSize: "0.9375rem" }}>Log</h2>
        <Group gap="sm">
          <TextInput
            size="xs"
            type="search"
            aria-label="Lines that hold"
            placeholder="Lines that hold"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          <SegmentedControl
            size="xs"
            aria-label="This level and worse"
            value={level}
            onChange={(value) => setLevel(value as Level)}
            transitionDuration={0}
            data={LEVELS.map((one) => ({ value: one, label: one.toLowerCase() }))}
          />
          <Switch
            size="sm"
            label="Follow"
            checked={following}
            onChange={(event) => setFollowing(event.currentTarget.checked)}
          />
        </Group>
      </Group>
      {lines.length === 0 ? (
        <Text size="sm" c="dimmed">
          {text ? "No line of this level holds that." : "Nothing of this level was kept."}
        </Text>
      ) : (
        <ul className="log" tabIndex={0} aria-label="Log lines, newest first" data-newest={newest}>
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
      {data?.next && (
        <Group gap="sm" mt="sm">
          <Text size="sm" c="dimmed" role="status">
            The newest {lines.length} lines.
          </Text>
          <Button size="xs" variant="default" onClick={() => void older()}>
            Older ones
          </Button>
        </Group>
      )}
      {templates && templates.items.length > 0 && (
        <details style={{ marginTop: 10 }}>
          <summary style={{ fontSize: "0.875rem" }}>What its log usually says</summary>
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
