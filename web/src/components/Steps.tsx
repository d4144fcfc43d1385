import { Code, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Effect, Event, Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { bytes, figure, seconds, words } from "./figures";
import { useNames } from "./names";
import { useNow } from "./When";

const EFFECTS: Record<Effect, string> = {
  read: "only looks",
  reversible: "can be undone",
  disruptive: "interrupts; loses no data but declared caches",
  destructive: "loses data",
};

/** The mildest first. */
export const WORST: Effect[] = ["read", "reversible", "disruptive", "destructive"];

export function EffectBadge({ effect }: { effect: Effect }) {
  return (
    <span className={`effect effect-${effect}`} title={EFFECTS[effect]}>
      {effect}
    </span>
  );
}

/** Arguments, those that count bytes in words. */
export function given(values: Record<string, unknown> | undefined, inBytes: string[] = []): string {
  return Object.entries(values ?? {})
    .map(([name, value]) => {
      const said = inBytes.includes(name) && typeof value === "number" ? bytes(value) : JSON.stringify(value);
      return `${name} = ${said}`;
    })
    .join(", ");
}

type Planned = Schemas["Step"] | Schemas["StepView"];
type Record_ = Schemas["StepRecord"];

/** What each step of a fix said while it was at work, by its number, out of the events of its incident. */
export function sayings(events: Event[], fix: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const { kind, subject, data } of events) {
    if (kind !== "fix.step.said" || subject !== fix) continue;
    const { index, said } = data as { index: number; said: string[] };
    found.set(index, [...(found.get(index) ?? []), ...said]);
  }
  return found;
}

interface Told {
  steps: Planned[];
  records?: Record_[];
  said?: Map<number, string[]>;
}

/** A plan, step by step: what it would do, its cost, the command that does the same by hand; and what it says and gives
 * once it is at work. */
export function Steps({ steps, records = [], said }: Told) {
  const nameOf = useNames();
  return (
    <ol className="steps">
      {steps.map((step, index) => {
        const record = records.find((one) => one.index === index);
        return (
          <li key={index}>
            <Stack gap={4}>
              <Group gap="xs">
                <Text fw={600} size="sm" component="code">
                  {step.tool}
                </Text>
                <Text size="sm" c="dimmed">
                  on {nameOf(step.resource)}
                </Text>
                <EffectBadge effect={step.effect} />
                {record && <span className={`step step-${record.status}`}>{record.status}</span>}
                {record && <Lasted record={record} />}
              </Group>
              {given(step.arguments, step.in_bytes) && (
                <Text size="sm" className="figure">
                  {given(step.arguments, step.in_bytes)}
                </Text>
              )}
              {step.why && <Text size="sm">{step.why}</Text>}
              {!record?.finished_at && <Cost tool={step.tool} />}
              {step.by_hand && (
                <Text size="sm" c="dimmed">
                  By hand: <Code>{step.by_hand}</Code>
                </Text>
              )}
              {said?.get(index) && <Said lines={said.get(index) ?? []} tool={step.tool} />}
              {record?.error && (
                <Text size="sm" className="bad">
                  {record.error}
                </Text>
              )}
              {record && record.output !== null && record.output !== undefined && (
                <Output value={record.output} inBytes={step.in_bytes} />
              )}
            </Stack>
          </li>
        );
      })}
    </ol>
  );
}

/** How long it took; of one that is at work, how long it has been. */
function Lasted({ record }: { record: Record_ }) {
  const now = useNow();
  if (!record.started_at) return null;
  const until = record.finished_at ? Date.parse(record.finished_at) : now;
  const lasted = Math.max(0, (until - Date.parse(record.started_at)) / 1000);
  return (
    <Text size="sm" c="dimmed" className="figure">
      {record.finished_at ? seconds(lasted) : `for ${Math.round(lasted)} s`}
    </Text>
  );
}

/** What a call costs: time, as it was measured here, and money where it changes a bill. */
function Cost({ tool: name }: { tool: string }) {
  const { data: tools } = useQuery(asked.tools());
  const { data: took } = useQuery(asked.took());
  const tool = tools?.items.find((one) => one.name === name);
  if (!tool) return null;
  const known = took?.find((one) => one.tool === name);
  const median = known?.seconds.median;
  const parts = [
    typeof median === "number"
      ? `usually ${seconds(median)} (median of ${known?.seconds.count} here)`
      : "not called here yet",
    `at most ${seconds(tool.timeout)}`,
    `${seconds(tool.settle)} more until it shows`,
    typeof tool.cost === "number" ? `$${tool.cost} more a month` : "changes no bill",
  ];
  return (
    <Text size="sm" c="dimmed" className="figure">
      Cost: {parts.join(", ")}
      {known && known.not_done > 0 && `; ${known.not_done} not done`}.
    </Text>
  );
}

/** What it says while it is at work, the last line at the end. */
function Said({ lines, tool }: { lines: string[]; tool: string }) {
  return (
    <ul className="saying" aria-label={`What ${tool} says`} tabIndex={0}>
      {lines.map((line, index) => (
        <li key={index}>{line}</li>
      ))}
    </ul>
  );
}

const UNITS = /_(ratio|bytes|seconds|per_second)$/;

/** What a tool gave, its figures in their units where the names tell them: `used_memory_ratio`; `before` and `now` of what
 * is set in bytes are bytes, too. */
export function inUnits(value: unknown, inBytes: string[] = []): [string, string][] | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  if (entries.length === 0 || entries.some(([, one]) => typeof one === "object" && one !== null)) return null;
  return entries.map(([name, one]) => {
    if (typeof one !== "number") return [words(name), String(one)];
    const counts = inBytes.includes(name) || (inBytes.length === 1 && (name === "before" || name === "now"));
    if (counts) return [words(name), one === 0 ? "0 (no limit)" : bytes(one)];
    return [words(name), UNITS.test(name) ? figure(name, one) : one.toLocaleString("en-GB")];
  });
}

export function Output({ value, inBytes }: { value: unknown; inBytes?: string[] }) {
  const pairs = inUnits(value, inBytes);
  if (pairs)
    return (
      <dl className="pairs output" aria-label="What it gave" tabIndex={0}>
        {pairs.map(([name, said]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd className="figure">{said}</dd>
          </div>
        ))}
      </dl>
    );
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <Code block className="output" tabIndex={0}>
      {text}
    </Code>
  );
}
