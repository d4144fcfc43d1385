import { Group, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { Loaded } from "~/components/States";
import { Output } from "~/components/Steps";
import { Title } from "~/components/Title";
import { When } from "~/components/When";
import { Itself } from "./Itself";
import { Tokens } from "./Tokens";

const MODES = {
  observe: "It never acts. It keeps the score of what it would have done.",
  approve: "Every change waits for a person.",
  auto: "It does what policy allows, and asks for the rest.",
} as const;
const OUTCOMES: Record<string, string> = { allow: "does it", ask: "asks first", deny: "never does it" };
const EFFECTS = ["read", "reversible", "disruptive", "destructive"];

export function Settings() {
  const mode = useQuery(asked.mode());
  const policy = useQuery(asked.policy());
  const settings = useQuery(asked.settings());
  return (
    <>
      <Title name="Settings" says="The configuration is a file, watchkeeper.yaml; only the mode is set here." />
      <div className="stack">
        <Loaded query={mode}>{(view) => <Mode view={view} />}</Loaded>
        <Loaded query={policy}>{(view) => <Policy view={view} />}</Loaded>
        <Tokens />
        <Itself />
        <Loaded query={settings}>
          {(view) => (
            <details className="card">
              <summary>Everything that is configured, secrets hidden</summary>
              <Output value={view.settings} />
            </details>
          )}
        </Loaded>
      </div>
    </>
  );
}

function Mode({ view }: { view: Schemas["ModeView"] }) {
  return (
    <section className="card">
      <h2>Mode: {view.mode}</h2>
      <Text size="sm" mb="sm">
        {MODES[view.mode]} {view.mode !== view.configured && `The configuration says ${view.configured}.`}
      </Text>
      {view.modes.map((one) => (
        <Text key={one.resource ?? ""} size="sm" mb="xs">
          {one.slug ?? "everything"}: {one.mode}, set by {one.by} <When at={one.at} />. {one.note}
        </Text>
      ))}
      <Group gap="xs">
        {(["observe", "approve", "auto"] as const)
          .filter((other) => other !== view.mode)
          .map((other) => (
            <Act
              key={other}
              label={`Set ${other}`}
              says={`From now on, for everything watched: ${MODES[other].toLowerCase()}`}
              note="optional"
              run={(note) => ask(api.PUT("/api/mode", { body: { mode: other, note } }))}
            />
          ))}
      </Group>
    </section>
  );
}

function Policy({ view }: { view: Schemas["PolicyView"] }) {
  return (
    <section className="card">
      <h2>Policy</h2>
      <Text size="sm" mb="xs">
        What Watchkeeper may do by itself in mode auto, by environment and by what a step may do to it.
      </Text>
      <div className="scroll" tabIndex={0} role="region" aria-label="Policy">
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Environment</Table.Th>
              {EFFECTS.map((effect) => (
                <Table.Th key={effect}>{effect}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {Object.entries(view.table).map(([environment, row]) => (
              <Table.Tr key={environment}>
                <Table.Td>{environment}</Table.Td>
                {EFFECTS.map((effect) => (
                  <Table.Td key={effect}>{OUTCOMES[row[effect] ?? ""] ?? row[effect] ?? "–"}</Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
      <Text size="sm" mt="sm">
        At most {view.changes_per_hour} changes of one resource in an hour; {seconds(view.cooldown)} of rest between
        fixes of one resource; at most {view.concurrent_fixes} fixes at a time, {view.concurrent_fixes_nearby} among
        things that need each other. A tool that failed {view.breaker_failures} times in a row is left alone for a
        while.
      </Text>
      <details style={{ marginTop: 10 }}>
        <summary>The same in Cedar</summary>
        <Output value={view.cedar} />
      </details>
    </section>
  );
}
