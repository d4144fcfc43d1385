import { Button, Checkbox, Group, NumberInput, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Effect, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { useToken } from "~/api/token";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { Failed } from "~/components/States";
import { Output } from "~/components/Steps";
import { When } from "~/components/When";

type View = Schemas["PolicyView"];
type Wanted = Schemas["SetPolicy"];
type Outcome = "allow" | "ask" | "deny";

const EFFECTS: Effect[] = ["read", "reversible", "disruptive", "destructive"];
const OUTCOMES: Record<Outcome, string> = { allow: "does it", ask: "asks first", deny: "never does it" };
const CHOICES = Object.entries(OUTCOMES).map(([value, label]) => ({ value, label: `${label} (${value})` }));
const WORDS: Record<Effect, string> = {
  read: "looking",
  reversible: "changes that can be set back",
  disruptive: "interruptions that lose no data but declared caches",
  destructive: "what loses data",
};
const STANDS: Record<Outcome, string> = { allow: "By itself", ask: "After a yes", deny: "Never" };

/** One row of the table as a sentence. */
export function sentence(row: Record<string, string>): string {
  return (Object.keys(STANDS) as Outcome[])
    .flatMap((outcome) => {
      const what = EFFECTS.filter((effect) => row[effect] === outcome).map((effect) => WORDS[effect]);
      return what.length > 0 ? [`${STANDS[outcome]}: ${what.join(", ")}.`] : [];
    })
    .join(" ");
}

/** What it may do where, in plain words; an admin changes it here. */
export function Policy({ view }: { view: View }) {
  const known = useToken();
  const { data: me } = useQuery(asked.me());
  const [edits, setEdits] = useState(false);
  const may = known !== "" && me?.role === "admin";
  return (
    <section className="card" aria-label="Policy">
      <Group justify="space-between" mb="sm">
        <h2 style={{ margin: 0, fontSize: "0.9375rem" }}>Policy</h2>
        {may && !edits && (
          <Button size="xs" variant="default" onClick={() => setEdits(true)}>
            Change policy
          </Button>
        )}
      </Group>
      <Text size="sm" mb="xs">
        What Watchkeeper may do by itself in mode auto, by environment and by what a step does to it.
      </Text>
      {edits && may ? <Change view={view} done={() => setEdits(false)} /> : <Words view={view} />}
      {!may && (
        <Text size="sm" c="dimmed" mt="sm">
          An admin who is signed in can change it here.
        </Text>
      )}
      <Changed view={view} may={may} />
      <details style={{ marginTop: 10 }}>
        <summary>The same in Cedar</summary>
        <Output value={view.cedar} />
      </details>
    </section>
  );
}

function Words({ view }: { view: View }) {
  return (
    <>
      <dl className="pairs">
        {Object.entries(view.table).map(([environment, row]) => (
          <div key={environment} style={{ display: "contents" }}>
            <dt>{environment === "production" ? "production, and all that have no line" : environment}</dt>
            <dd>{sentence(row)}</dd>
          </div>
        ))}
        <dt>Limits</dt>
        <dd>
          At most {view.changes_per_hour} changes of one resource in an hour unasked; {seconds(view.cooldown)} of rest
          after a fix that failed nearby; at most {view.concurrent_fixes} fixes at a time,{" "}
          {view.concurrent_fixes_nearby} among things that need each other. A tool that failed {view.breaker_failures}{" "}
          times in a row is left alone for a while.
        </dd>
        <dt>Two people</dt>
        <dd>
          {view.two_people.length
            ? `Needed for what is ${view.two_people.join(" or ")}: whoever asks cannot approve.`
            : "Nothing needs two."}
        </dd>
      </dl>
    </>
  );
}

/** Only what is another than now. */
function wanted(view: View, typed: Typed): Wanted {
  const table: Record<string, Record<string, Outcome>> = {};
  for (const [environment, row] of Object.entries(typed.table)) {
    const cells = Object.entries(row).filter(([effect, outcome]) => view.table[environment]?.[effect] !== outcome);
    if (cells.length > 0) table[environment] = Object.fromEntries(cells);
  }
  const two = [...typed.two].sort().join() !== [...view.two_people].sort().join();
  return {
    table,
    ...(typed.changes !== view.changes_per_hour ? { changes_per_hour: typed.changes } : {}),
    ...(typed.cooldown !== view.cooldown ? { cooldown: typed.cooldown } : {}),
    ...(two ? { two_people: typed.two } : {}),
    loosen: false,
    note: "",
  };
}

interface Typed {
  table: Record<string, Record<string, Outcome>>;
  changes: number;
  cooldown: number;
  two: Effect[];
}

function Change({ view, done }: { view: View; done: () => void }) {
  const [typed, setTyped] = useState<Typed>(() => ({
    table: structuredClone(view.table) as Typed["table"],
    changes: view.changes_per_hour,
    cooldown: view.cooldown,
    two: view.two_people as Effect[],
  }));
  const [row, setRow] = useState("");
  const body = wanted(view, typed);
  const changed = Object.keys(body).length > 3 || Object.keys(body.table ?? {}).length > 0;
  const [asking] = useDebouncedValue(JSON.stringify(body), 250);
  const preview = useQuery(asked.preview(JSON.parse(asking) as Wanted, changed));
  const found = changed && asking === JSON.stringify(body) ? preview.data : undefined;
  const looser = found?.looser ?? [];
  const cell = (environment: string, effect: Effect, outcome: Outcome) =>
    setTyped((was) => ({
      ...was,
      table: { ...was.table, [environment]: { ...was.table[environment], [effect]: outcome } },
    }));
  return (
    <Stack gap="sm">
      <div className="scroll" tabIndex={0} role="region" aria-label="Table of policy">
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
            {Object.entries(typed.table).map(([environment, cells]) => (
              <Table.Tr key={environment}>
                <Table.Td>{environment}</Table.Td>
                {EFFECTS.map((effect) => (
                  <Table.Td key={effect}>
                    <Select
                      aria-label={`${environment}, ${effect}`}
                      size="xs"
                      miw={150}
                      allowDeselect={false}
                      data={CHOICES}
                      value={cells[effect] ?? null}
                      onChange={(value) => value && cell(environment, effect, value as Outcome)}
                    />
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
      <Group align="flex-end" gap="sm">
        <TextInput
          label="A line for another environment"
          size="xs"
          value={row}
          onChange={(event) => setRow(event.currentTarget.value)}
        />
        <Button
          size="xs"
          variant="default"
          disabled={!/^[A-Za-z0-9][\w.-]*$/.test(row) || row in typed.table}
          onClick={() => {
            setTyped((was) => ({ ...was, table: { ...was.table, [row]: { ...was.table.production } } }));
            setRow("");
          }}
        >
          Add it as production is
        </Button>
      </Group>
      <Group align="flex-end" gap="sm">
        <NumberInput
          label="Changes of one resource in an hour"
          size="xs"
          min={0}
          max={1000}
          allowDecimal={false}
          value={typed.changes}
          onChange={(value) => setTyped((was) => ({ ...was, changes: Number(value) || 0 }))}
        />
        <NumberInput
          label="Seconds of rest after a fix that failed"
          size="xs"
          min={0}
          max={86400}
          value={typed.cooldown}
          onChange={(value) => setTyped((was) => ({ ...was, cooldown: Number(value) || 0 }))}
        />
        <Checkbox.Group
          label="Two people for what is"
          size="xs"
          value={typed.two}
          onChange={(two) => setTyped((was) => ({ ...was, two: two as Effect[] }))}
        >
          <Group gap="sm" h={30}>
            {EFFECTS.slice(1).map((effect) => (
              <Checkbox key={effect} size="xs" value={effect} label={effect} />
            ))}
          </Group>
        </Checkbox.Group>
      </Group>
      <div role="status" aria-label="What would change">
        {changed && preview.error && <Failed error={preview.error} />}
        {found && <Means preview={found} />}
      </div>
      <Group gap="xs">
        <Act
          label={looser.length > 0 ? "Set it, though it is looser" : "Set policy"}
          variant="filled"
          color={looser.length > 0 ? "red.9" : undefined}
          disabled={!found || Boolean(found.refused) || found.changes.length === 0}
          says={
            found && (
              <>
                From the next step on, and after a restart, until it is set as configured:
                <Means preview={found} />
              </>
            )
          }
          note={looser.length > 0 ? "needed" : "optional"}
          run={async (note) => {
            await ask(api.PUT("/api/policy", { body: { ...body, loosen: looser.length > 0, note } }));
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

function Means({ preview }: { preview: Schemas["PolicyPreview"] }) {
  if (preview.refused)
    return (
      <Text size="sm" className="bad">
        {preview.refused}
      </Text>
    );
  return (
    <>
      <ul className="means">
        {preview.changes.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
      {preview.looser.length > 0 && (
        <Text size="sm" className="bad" component="div">
          More permissive than the configuration, all in all:
          <ul className="means">
            {preview.looser.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </Text>
      )}
    </>
  );
}

/** What was set while it runs, by whom, and the ways back. */
function Changed({ view, may }: { view: View; may: boolean }) {
  const { data } = useQuery(asked.amended());
  const [loosen, setLoosen] = useState(false);
  const changes = data?.changes ?? [];
  const { changed } = view;
  if (changes.length === 0) return null;
  return (
    <section aria-label="Policy changed while it runs">
      <Text size="sm" fw={600} mt="md">
        {changed ? "Changed while it runs" : "As configured; it was changed before"}
      </Text>
      {changed?.looser.map((one) => (
        <Text key={one} size="sm" className="bad">
          Looser than the configuration: {one}
        </Text>
      ))}
      <ul className="story">
        {[...changes].reverse().map((event) => (
          <li key={event.seq} style={{ gridTemplateColumns: "4.75rem 1fr" }}>
            <When at={event.at} />
            <span className="said">{event.text}</span>
          </li>
        ))}
      </ul>
      {may && (
        <Group gap="xs" mt="sm">
          <Act
            label="Take back the last change"
            says={
              <Stack gap="xs">
                Policy is as it was before the last change.
                <Checkbox
                  label="Also where that is looser than the configuration (then say why)"
                  checked={loosen}
                  onChange={(event) => setLoosen(event.currentTarget.checked)}
                />
              </Stack>
            }
            note={loosen ? "needed" : "optional"}
            run={(note) => ask(api.POST("/api/policy/undo", { body: { loosen, note } }))}
          />
          {changed && (
            <Act
              label="As configured"
              says="Policy is again as watchkeeper.yaml has it, from the next step on. The history stays."
              run={() => ask(api.DELETE("/api/policy"))}
            />
          )}
        </Group>
      )}
    </section>
  );
}
