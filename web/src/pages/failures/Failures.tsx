import { Group, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { HealthBadge } from "~/components/Health";
import { IncidentLines } from "~/components/IncidentLines";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

const time = (unix: number) => new Date(unix * 1000).toISOString();

/** Break the lab, see what it does, and put it back. */
export function Failures() {
  const failures = useQuery(asked.failures());
  const [typed, setTyped] = useState("");
  const [last, setLast] = useState<Schemas["ResetView"] | null>(null);
  return (
    <>
      <Title
        name="Failures"
        says="Break the lab, see it found and healed. What is broken here is in no log and no event."
      >
        <Act
          label="Reset the lab"
          says="Whatever was injected is ended, and every service of the lab is put back as it was when it came up. It takes up to two minutes."
          run={async () => setLast(await ask(api.DELETE("/api/failures")))}
        />
      </Title>
      {last && <Reset said={last} />}
      <Loaded query={failures}>
        {({ items }) => {
          const shown = items.filter((one) =>
            `${one.name} ${one.description}`.toLowerCase().includes(typed.toLowerCase()),
          );
          const there = shown.filter((one) => !one.left_out);
          const lacking = shown.filter((one) => one.left_out);
          return (
            <div className="two">
              <div className="stack">
                <TextInput
                  type="search"
                  aria-label="Search failures"
                  placeholder="Search (/)"
                  value={typed}
                  onChange={(event) => setTyped(event.currentTarget.value)}
                />
                {shown.length === 0 && <Empty title="No failure has that name" />}
                <Some name="Faults" items={there.filter((one) => one.kind === "fault")} said={setLast} />
                <Some
                  name="Controls, which only look like one: right is to leave them alone"
                  items={there.filter((one) => one.kind === "control")}
                  said={setLast}
                />
                {lacking.length > 0 && (
                  <details className="card">
                    <summary>{lacking.length} that this lab cannot have</summary>
                    {lacking.map((one) => (
                      <Text key={one.name} size="sm" mt={6}>
                        <b>{one.name}</b>: {one.left_out}
                      </Text>
                    ))}
                  </details>
                )}
              </div>
              <Seen />
            </div>
          );
        }}
      </Loaded>
    </>
  );
}

function Reset({ said }: { said: Schemas["ResetView"] }) {
  return (
    <section className="card" role="status" style={{ marginBottom: 16 }}>
      <Text size="sm">
        Reset after {seconds(said.seconds)}
        {said.ended.length > 0 && `; ended: ${said.ended.join(", ")}`}. The lab’s own oracle says{" "}
        {said.healthy ? "healthy" : "NOT healthy"}; {said.lost} acknowledged writes were lost.
      </Text>
      {said.reasons.map((reason) => (
        <Text key={reason} size="sm" className="bad">
          {reason}
        </Text>
      ))}
    </section>
  );
}

interface Listed {
  name: string;
  items: Schemas["FailureView"][];
  said: (reset: Schemas["ResetView"]) => void;
}

function Some({ name, items, said }: Listed) {
  if (items.length === 0) return null;
  return (
    <section className="card">
      <h2>{name}</h2>
      <ul className="plain">
        {items.map((one) => (
          <li key={one.name}>
            <Failure one={one} said={said} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Failure({ one, said }: { one: Schemas["FailureView"]; said: Listed["said"] }) {
  const params = { path: { fault: one.name } };
  return (
    <Group justify="space-between" wrap="nowrap" align="flex-start" gap="sm">
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={600}>
          {one.name}
        </Text>
        <Text size="sm">{one.description}</Text>
        <Text size="xs" c="dimmed">
          Right: {EXPECTED[one.expect] ?? one.expect}
        </Text>
        {one.in_effect_since !== null && (
          <Text size="sm" className="bad">
            in effect, injected <When at={time(one.in_effect_since)} />
          </Text>
        )}
      </div>
      <div style={{ flex: "none" }}>
        {one.in_effect_since === null ? (
          <Act
            label="Inject"
            aria-label={`Inject ${one.name}`}
            size="xs"
            color="red.9"
            variant="outline"
            says={`In the lab, and nowhere else: ${one.description}. It answers once it is in effect.`}
            run={() => ask(api.POST("/api/failures/{fault}", { params }))}
          />
        ) : (
          <Act
            label="End it"
            aria-label={`End ${one.name}`}
            size="xs"
            says={`${one.name} is ended, with everything else that was injected: the whole lab is put back as it was.`}
            run={async () => said(await ask(api.DELETE("/api/failures/{fault}", { params })))}
          />
        )}
      </div>
    </Group>
  );
}

const EXPECTED: Record<string, string> = {
  healed: "it is healed",
  escalated: "it is named and handed to a person",
  no_action: "nothing is done",
};

/** What Watchkeeper makes of it, beside the buttons. */
function Seen() {
  const { data: status } = useQuery(asked.status());
  const { data: incidents } = useQuery(asked.lately());
  const ill = (status?.items ?? []).filter((item) => item.health !== "HEALTHY");
  return (
    <div className="stack beside">
      <section className="card" aria-label="What Watchkeeper sees">
        <h2>What Watchkeeper sees</h2>
        {status && ill.length === 0 && <Text size="sm">All {status.total} healthy.</Text>}
        <ul className="plain">
          {ill.map((item) => (
            <li key={item.id}>
              <Group justify="space-between">
                <Link to="/resources/$slug" params={{ slug: item.slug }}>
                  {item.slug}
                </Link>
                <HealthBadge health={item.health} />
              </Group>
              <Text size="xs" c="dimmed">
                {item.state}
              </Text>
            </li>
          ))}
        </ul>
      </section>
      <section className="card">
        <h2>Last incidents</h2>
        {incidents?.items.length === 0 && <Text size="sm">None yet.</Text>}
        <IncidentLines incidents={(incidents?.items ?? []).slice(0, 6)} />
      </section>
    </div>
  );
}
