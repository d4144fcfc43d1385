import { Group, Stack, Switch, Text, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { When } from "~/components/When";
import { Diff } from "./Diff";

type Draft = Schemas["DraftView"];
type Runbook = Schemas["RunbookView"];

/** What the draft would stand beside: the runbook of its kind that is asked about the same alerts, if there is one. */
export function beside({ draft }: Draft, runbooks: Runbook[]): Runbook | undefined {
  const same = runbooks.filter((one) => one.kind === draft.kind && one.name !== draft.name);
  return (
    runbooks.find((one) => one.kind === draft.kind && one.name === draft.name) ??
    same.find((one) => draft.rules.some((rule) => one.when.includes(`"${rule}"`)))
  );
}

/** Runbooks that were learned from what healed, for a person to accept or discard. */
export function Drafts({ runbooks }: { runbooks: Runbook[] }) {
  const { data } = useQuery(asked.drafts());
  const waiting = (data?.items ?? []).filter((one) => one.draft.status === "draft");
  if (waiting.length === 0) return null;
  return (
    <section aria-label="Drafts" className="stack" style={{ marginBottom: 16 }}>
      {waiting.map((one) => (
        <Review key={one.draft.id} one={one} runbooks={runbooks} />
      ))}
    </section>
  );
}

function Review({ one, runbooks }: { one: Draft; runbooks: Runbook[] }) {
  const { draft } = one;
  const [text, setText] = useState(draft.text);
  const [edits, setEdits] = useState(false);
  const neighbour = beside(one, runbooks);
  const path = { params: { path: { key: draft.id } } };
  const changed = text !== draft.text;
  const before = changed ? draft.text : (neighbour?.text ?? "");
  const against = changed
    ? "your changes to what was drafted"
    : neighbour
      ? `the draft, compared with ${neighbour.name}, which is asked about the same`
      : "the draft; nothing is asked about the same yet";
  return (
    <section className="card">
      <h2>
        Draft: {draft.name} <span className="step">{draft.kind}</span>
      </h2>
      <Stack gap="sm">
        <Text size="sm">
          Learned <When at={draft.at} /> from what {draft.author} planned and was proven to have healed in{" "}
          <Link to="/incidents/$key" params={{ key: draft.incident }}>
            {draft.incident}
          </Link>
          . {one.cause}
        </Text>
        {[...(one.problem ? [one.problem] : []), ...draft.doubts].map((doubt) => (
          <Text key={doubt} size="sm" className="bad">
            {doubt}
          </Text>
        ))}
        <Group justify="space-between">
          <Text size="sm" c="dimmed">
            Shown: {against}.
          </Text>
          <Switch
            size="sm"
            label="Improve it first"
            checked={edits}
            onChange={(event) => setEdits(event.currentTarget.checked)}
          />
        </Group>
        {edits && (
          <Textarea
            aria-label={`Text of ${draft.name}`}
            autosize
            maxRows={30}
            className="mono"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
        )}
        <Diff before={before} after={text} label={`Diff of ${draft.name}`} />
        <Group gap="xs">
          <Act
            label="Accept"
            variant="filled"
            says={`${draft.name} is a runbook from now on, and after a restart: the last to be asked of its kind, and within policy as any.`}
            note="optional"
            run={(note) =>
              ask(
                api.POST("/api/runbooks/drafts/{key}/accept", { ...path, body: { note, text: changed ? text : null } }),
              )
            }
          />
          <Act
            label="Discard"
            says={`${draft.name} becomes no runbook, and the same is not drafted again.`}
            note="optional"
            run={(note) => ask(api.POST("/api/runbooks/drafts/{key}/discard", { ...path, body: { note } }))}
          />
        </Group>
      </Stack>
    </section>
  );
}
