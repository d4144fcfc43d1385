import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { asked } from "~/api/queries";
import { useConnection } from "~/api/live";

/** How the watcher itself is: what it cannot do, who else watches, what tells people. */
export function Itself() {
  const { data: status } = useQuery(asked.status());
  const { data: ready } = useQuery(asked.ready());
  const { data: channels } = useQuery(asked.channels());
  const connection = useConnection();
  const problems = [
    ...(ready?.problems ?? []),
    ...Object.entries(status?.problems ?? {}).map(([name, what]) => `${name}: ${what}`),
  ];
  return (
    <section className="card" id="itself" aria-label="Watchkeeper itself">
      <h2>Watchkeeper itself</h2>
      {status && problems.length === 0 && <Text size="sm">Nothing is wrong with it.</Text>}
      {problems.map((problem) => (
        <Text key={problem} size="sm" className="bad">
          {problem}
        </Text>
      ))}
      <dl className="pairs" style={{ marginTop: 8 }}>
        <dt>Version</dt>
        <dd>{status?.version ?? "–"}</dd>
        <dt>This page</dt>
        <dd>{connection === "live" ? "connected" : connection}</dd>
        {(status?.executors ?? []).length > 1 && (
          <>
            <dt>Executors</dt>
            <dd>{status?.executors?.map((one) => `${one.id}${one.here ? " (this one)" : ""}`).join(", ")}</dd>
          </>
        )}
        {(status?.breakers ?? []).length > 0 && (
          <>
            <dt>Left alone</dt>
            <dd>{status?.breakers.map((one) => one.said).join("; ")}</dd>
          </>
        )}
        {(channels?.items ?? []).length > 0 && (
          <>
            <dt>Tells people over</dt>
            <dd>{channels?.items.map((one) => one.name).join(", ")}</dd>
          </>
        )}
      </dl>
    </section>
  );
}
