import { Button, Group, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { given } from "~/components/Steps";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { Drafts } from "./Drafts";
import { Edit, History } from "./Edit";

type Runbook = Schemas["RunbookView"];
const ORIGINS: Record<Runbook["origin"], string> = {
  packaged: "",
  file: "your file",
  changed: "changed",
  learned: "learned",
};

/** What it is for; what is filled in from a reading is said to be. */
export const cause = ({ cause: said }: Pick<Runbook, "cause">): string =>
  /^\{\w+\}$/.test(said) ? "As the reading tells." : said.replace(/\{(\w+)\}/g, "‹$1›").replaceAll("_", " ");

export function Runbooks() {
  const runbooks = useQuery(asked.runbooks());
  const [typed, setTyped] = useState("");
  return (
    <>
      <Title
        name="Runbooks"
        says="What is tried when, from gentlest to harshest; each rung is verified before the next."
      />
      <Loaded query={runbooks}>
        {({ items }) => {
          const shown = items.filter((one) =>
            `${one.name} ${one.kind} ${one.cause}`.toLowerCase().includes(typed.toLowerCase()),
          );
          return (
            <>
              <Drafts runbooks={items} />
              <TextInput
                type="search"
                aria-label="Search runbooks"
                placeholder="Search (/)"
                mb="sm"
                maw={360}
                value={typed}
                onChange={(event) => setTyped(event.currentTarget.value)}
              />
              {shown.length === 0 ? (
                <Empty title={items.length === 0 ? "No runbook" : "No runbook has that name"} />
              ) : (
                <div className="stack">
                  {shown.map((runbook) => (
                    <One key={`${runbook.kind}/${runbook.name}`} runbook={runbook} />
                  ))}
                </div>
              )}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function One({ runbook }: { runbook: Runbook }) {
  const [opened, setOpened] = useState(false);
  return (
    <details className="card" onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        <b>{runbook.name}</b> <span className="step">{runbook.kind}</span>{" "}
        {ORIGINS[runbook.origin] && <span className="step">{ORIGINS[runbook.origin]}</span>} {cause(runbook)}
      </summary>
      {opened && <Opened runbook={runbook} />}
    </details>
  );
}

function Opened({ runbook }: { runbook: Runbook }) {
  const [edits, setEdits] = useState(false);
  if (edits) return <Edit runbook={runbook} done={() => setEdits(false)} />;
  return (
    <>
      {runbook.problem && (
        <Text size="sm" className="bad" mt="sm">
          {runbook.problem}
        </Text>
      )}
      <dl className="pairs" style={{ marginTop: 12 }}>
        <dt>When</dt>
        <dd>
          <code>{runbook.when}</code>
        </dd>
        <dt>Ladder</dt>
        <dd>
          <ol className="steps">
            {runbook.ladder.map((rung, index) => (
              <li key={index}>
                {rung.map((step, at) => (
                  <div key={at}>
                    <code>{String(step.tool)}</code>{" "}
                    {given((step.with ?? step.arguments ?? {}) as Record<string, unknown>)}
                  </div>
                ))}
              </li>
            ))}
          </ol>
        </dd>
        {runbook.healed && (
          <>
            <dt>Healed</dt>
            <dd>
              <code>{runbook.healed}</code>
            </dd>
          </>
        )}
      </dl>
      <Text component="div" size="sm" mt="md" className="page">
        <pre tabIndex={0} style={{ whiteSpace: "pre-wrap" }}>
          {runbook.page}
        </pre>
      </Text>
      <History runbook={runbook} />
      <Group mt="sm">
        <Button size="sm" variant="default" onClick={() => setEdits(true)}>
          Edit
        </Button>
      </Group>
    </>
  );
}
