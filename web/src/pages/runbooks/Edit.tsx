import { Button, Group, Stack, Text, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, Refusal, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { When } from "~/components/When";
import { Diff } from "./Diff";

type Runbook = Schemas["RunbookView"];

/** The whole page, front matter included, to be written anew; checked as `watchkeeper check` does before it holds. */
export function Edit({ runbook, done }: { runbook: Runbook; done: () => void }) {
  const [text, setText] = useState(runbook.text);
  const [begun] = useState(runbook);
  const changed = text !== begun.text;
  const path = { name: runbook.name };
  return (
    <Stack gap="sm" mt="md">
      <Textarea
        label={`Text of ${runbook.name}`}
        description="Markdown for people; what is between the two lines of --- is for Watchkeeper."
        autosize
        minRows={12}
        maxRows={36}
        className="mono"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {changed && <Diff before={begun.text} after={text} label={`Diff of ${runbook.name}`} />}
      <Group gap="xs">
        <Act
          label="Save"
          variant="filled"
          disabled={!changed}
          says={`${runbook.name} is checked, and if nothing is wrong with it, it holds from now on, and after a restart. What a fix has begun goes on as it was planned.`}
          note="optional"
          run={async (note) => {
            await ask(
              api.PUT("/api/runbooks/{name}", {
                params: { path, header: { "If-Match": `"${begun.digest}"` } },
                body: { text, kind: runbook.kind, note },
              }),
            ).catch(explained);
            done();
          }}
        />
        <Button size="sm" variant="default" onClick={done}>
          Leave it
        </Button>
      </Group>
    </Stack>
  );
}

/** With the lines where it is wrong. */
function explained(problem: unknown): never {
  if (problem instanceof Refusal && problem.faults.length > 0) {
    const lines = problem.faults.map(
      ({ line, what, next_step }) => `${line ? `line ${line}: ` : ""}${what} ${next_step}`,
    );
    throw new Refusal(problem.status, "The page is not saved: it could not be used so.", lines.join("\n"));
  }
  if (problem instanceof Refusal && problem.status === 412)
    throw new Refusal(412, "Somebody changed it meanwhile.", "Leave yours, look at theirs, and change that.");
  throw problem;
}

/** Who changed it when, with what; taking the last change back, or all. */
export function History({ runbook }: { runbook: Runbook }) {
  const { data } = useQuery(asked.history(runbook.name, runbook.kind));
  const changes = data?.changes ?? [];
  const [shown, setShown] = useState<number | null>(null);
  if (changes.length === 0) return null;
  const path = { name: runbook.name };
  const earlier = (index: number) => changes.slice(0, index).findLast((one) => one.text !== null)?.text;
  return (
    <section aria-label={`History of ${runbook.name}`}>
      <Text size="sm" fw={600} mt="md">
        Changed while it runs
      </Text>
      <ul className="story">
        {changes
          .map((change, index) => ({ change, index }))
          .reverse()
          .map(({ change, index }) => (
            <li key={change.at} style={{ gridTemplateColumns: "4.75rem 1fr" }}>
              <When at={change.at} />
              <span className="said">
                {change.by}{" "}
                {change.text === null ? (
                  "went back to the page as it was delivered"
                ) : (
                  <button type="button" className="link" onClick={() => setShown(shown === index ? null : index)}>
                    wrote it anew
                  </button>
                )}
                {change.note && `: ${change.note}`}
                {shown === index && (
                  <Diff
                    before={earlier(index) ?? data?.settled ?? ""}
                    after={change.text ?? ""}
                    label={`What ${change.by} changed`}
                  />
                )}
              </span>
            </li>
          ))}
      </ul>
      {runbook.origin === "changed" && (
        <Group gap="xs" mt="sm">
          <Act
            label="Take back the last change"
            says={`${runbook.name} is as it was before the last change.`}
            note="optional"
            run={(note) =>
              ask(api.POST("/api/runbooks/{name}/undo", { params: { path }, body: { kind: runbook.kind, note } }))
            }
          />
          {data?.settled && (
            <Act
              label="As delivered"
              says={`${runbook.name} is again as it came with Watchkeeper or its file. The history stays.`}
              run={() => ask(api.DELETE("/api/runbooks/{name}", { params: { path, query: { kind: runbook.kind } } }))}
            />
          )}
        </Group>
      )}
    </section>
  );
}
