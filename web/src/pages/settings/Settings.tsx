import { Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { Loaded } from "~/components/States";
import { Output } from "~/components/Steps";
import { Title } from "~/components/Title";
import { When } from "~/components/When";
import { Itself } from "./Itself";
import { Policy } from "./Policy";
import { Tokens } from "./Tokens";

const MODES = {
  observe: "It never acts. It keeps the score of what it would have done.",
  approve: "Every change waits for a person.",
  auto: "It does what policy allows, and asks for the rest.",
} as const;

export function Settings() {
  const mode = useQuery(asked.mode());
  const policy = useQuery(asked.policy());
  const settings = useQuery(asked.settings());
  const awaited = mode.isPending || policy.isPending;
  return (
    <>
      <Title
        name="Settings"
        says="The configuration is a file, watchkeeper.yaml; mode, policy and tokens are set here."
      />
      <div className="stack">
        <Loaded query={mode}>
          {(set) => (
            <Loaded query={policy}>
              {(view) => (
                <>
                  <Mode view={set} />
                  <Policy view={view} />
                  <Tokens />
                </>
              )}
            </Loaded>
          )}
        </Loaded>
        {!awaited && (
          <>
            <Itself />
            <Loaded query={settings}>
              {(view) => (
                <details className="card">
                  <summary>Everything that is configured, secrets hidden</summary>
                  <Output value={view.settings} />
                </details>
              )}
            </Loaded>
          </>
        )}
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
