import { Code, Group, Stack, Text } from "@mantine/core";
import type { Effect, Schemas } from "~/api/client";
import { bytes, short } from "./figures";

const EFFECTS: Record<Effect, string> = {
  read: "only looks",
  reversible: "can be undone",
  disruptive: "interrupts, loses nothing",
  destructive: "loses data",
};

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

/** What a plan would do, step by step, with the command that does the same by hand. */
export function Steps({ steps, records = [] }: { steps: Planned[]; records?: Schemas["StepRecord"][] }) {
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
                  on {short(step.resource)}
                </Text>
                <EffectBadge effect={step.effect} />
                {record && <span className={`step step-${record.status}`}>{record.status}</span>}
              </Group>
              {given(step.arguments, step.in_bytes) && (
                <Text size="sm" className="figure">
                  {given(step.arguments, step.in_bytes)}
                </Text>
              )}
              {step.why && <Text size="sm">{step.why}</Text>}
              {step.by_hand && (
                <Text size="sm" c="dimmed">
                  By hand: <Code>{step.by_hand}</Code>
                </Text>
              )}
              {record?.error && (
                <Text size="sm" className="bad">
                  {record.error}
                </Text>
              )}
              {record && record.output !== null && record.output !== undefined && <Output value={record.output} />}
            </Stack>
          </li>
        );
      })}
    </ol>
  );
}

export function Output({ value }: { value: unknown }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <Code block className="output" tabIndex={0}>
      {text}
    </Code>
  );
}
