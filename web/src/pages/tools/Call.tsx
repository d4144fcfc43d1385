import { Code, NumberInput, Select, Stack, Switch, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, type Effect, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { bytes } from "~/components/figures";
import { EffectBadge, given, Output } from "~/components/Steps";
import { When } from "~/components/When";

type Tool = Schemas["ToolView"];

export interface Field {
  name: string;
  type: "string" | "number" | "bytes" | "boolean" | "choice" | "json";
  needed: boolean;
  description: string;
  choices: string[];
  preset: unknown;
  least?: number;
  most?: number;
}

interface Property {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  unit?: string;
  minimum?: number;
  maximum?: number;
  anyOf?: Property[];
}

/** The fields of a form, from a JSON Schema of arguments. */
export function fields(schema: Record<string, unknown>): Field[] {
  const properties = (schema.properties ?? {}) as Record<string, Property>;
  const required = (schema.required ?? []) as string[];
  return Object.entries(properties).map(([name, given]) => {
    const property = given.anyOf?.find((one) => one.type !== "null") ?? given;
    const type = property.enum
      ? "choice"
      : property.unit === "bytes"
        ? "bytes"
        : property.type === "integer" || property.type === "number"
          ? "number"
          : property.type === "boolean" || property.type === "string"
            ? property.type
            : "json";
    return {
      name,
      type,
      needed: required.includes(name),
      description: given.description ?? "",
      choices: (property.enum ?? []).map(String),
      preset: given.default,
      least: property.minimum,
      most: property.maximum,
    };
  });
}

/** The arguments as the API takes them; what was left empty is left out. */
export function values(all: Field[], typed: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    all.flatMap(({ name, type }) => {
      const value = typed[name];
      if (value === undefined || value === "") return [];
      if (type === "bytes") return [[name, /^\d+$/.test(String(value)) ? Number(value) : value]]; // or `64mb`, as it is
      return [[name, type === "json" && typeof value === "string" ? (JSON.parse(value) as unknown) : value]];
    }),
  );
}

/** The arguments as they were typed; bytes in words. */
const written = (all: Field[], typed: Record<string, unknown>): [string, string][] =>
  all.flatMap(({ name, type }) => {
    const value = typed[name];
    if (value === undefined || value === "") return [];
    if (type === "bytes" && /^\d+$/.test(String(value))) return [[name, bytes(Number(value))]];
    return [[name, typeof value === "string" ? value : JSON.stringify(value)]];
  });

const MEANS: Record<Effect, string> = {
  read: "only looks",
  reversible: "sets something that can be set back",
  disruptive: "interrupts it; nothing that is stored is lost, but for declared caches",
  destructive: "loses data",
};

const said = (step?: Schemas["Step"]): string => given(step?.arguments, step?.in_bytes);

/** What a tool does, a form for its arguments, and what came of a call. */
export function Call({ tool, at }: { tool: Tool; at?: string }) {
  const { data: status } = useQuery(asked.status());
  const { data: calls } = useQuery(asked.calls(tool.name));
  const all = fields(tool.input_schema).filter((field) => field.name !== "resource");
  const slugs = (status?.items ?? []).filter((item) => item.kind === tool.kind).map((item) => item.slug);
  const [resource, setResource] = useState<string | null>(at ?? null);
  const [typed, setTyped] = useState<Record<string, unknown>>(() =>
    Object.fromEntries(
      all.filter(({ preset }) => preset !== undefined && preset !== null).map(({ name, preset }) => [name, preset]),
    ),
  );
  const [result, setResult] = useState<Schemas["Submitted"] | null>(null);
  const looks = tool.effect === "read";
  const target = resource ?? (looks || slugs.length === 1 ? slugs[0] : null) ?? null; // of several the person chooses
  const lacking = all.filter(({ name, needed }) => needed && (typed[name] === undefined || typed[name] === ""));
  const recent = calls?.items ?? [];
  async function call() {
    const body = { resource: target ?? "", arguments: values(all, typed) };
    setResult(await ask(api.POST("/api/mcp/tools/{name}", { params: { path: { name: tool.name } }, body })));
  }
  return (
    <Stack gap="sm">
      <Title order={2} size="h4" style={{ overflowWrap: "anywhere" }}>
        {tool.name} <EffectBadge effect={tool.effect} />
      </Title>
      <Text size="sm">{tool.description}</Text>
      <Text size="sm" c="dimmed">
        {tool.has_undo ? "It has an undo. " : tool.effect === "read" ? "" : "It has no undo. "}
        {tool.by_hand && (
          <>
            By hand: <Code>{tool.by_hand}</Code>
          </>
        )}
      </Text>
      {tool.breakers.map((one) => (
        <Text key={`${one.tool}${one.resource ?? ""}`} size="sm" className="bad">
          {one.said}
        </Text>
      ))}
      {slugs.length === 0 ? (
        <Text size="sm">Nothing of the kind {tool.kind} is watched.</Text>
      ) : (
        <>
          <Select
            label="Resource"
            placeholder="Choose one"
            data={slugs}
            value={target}
            onChange={setResource}
            searchable
          />
          {all.map((field) => (
            <Input
              key={field.name}
              field={field}
              value={typed[field.name]}
              set={(value) => setTyped({ ...typed, [field.name]: value })}
            />
          ))}
          <Act
            label={looks ? "Look" : "Call"}
            variant="filled"
            color={tool.effect === "destructive" ? "red.9" : undefined}
            disabled={lacking.length > 0 || target === null}
            w="fit-content"
            says={
              looks ? (
                `${tool.name} looks at ${target}; nothing is changed.`
              ) : (
                <>
                  {tool.name} is done on <b>{target}</b> at once where policy allows it, else it waits for another
                  person. It {MEANS[tool.effect]}.{!tool.has_undo && " It has no undo."}
                  {written(all, typed).map(([name, value]) => (
                    <code key={name} style={{ display: "block" }}>
                      {name} = {value}
                    </code>
                  ))}
                </>
              )
            }
            run={call}
          />
        </>
      )}
      {result && (
        <section aria-label="Result" role="status">
          <Text size="sm">
            {result.status}. {result.decision.reason} {result.fix_id && <Link to="/fixes">{result.fix_id}</Link>}
          </Text>
          {result.warnings.map((warning) => (
            <Text key={warning} size="sm" className="bad">
              {warning}
            </Text>
          ))}
          {result.output !== null && result.output !== undefined && (
            <Output
              value={result.output}
              inBytes={all.filter(({ type }) => type === "bytes").map(({ name }) => name)}
            />
          )}
        </section>
      )}
      {recent.length > 0 && (
        <section>
          <Text size="sm" fw={600}>
            Last calls
          </Text>
          {recent.map((fix) => (
            <Text key={fix.id} size="sm">
              <When at={fix.started_at} />: {fix.plan.author},{" "}
              {said(fix.plan.steps.find((step) => step.tool === tool.name))} {fix.said}
            </Text>
          ))}
        </section>
      )}
    </Stack>
  );
}

/** Its bounds, in its unit. */
export function bounds({ type, least, most }: Field): string {
  const said = (value: number) => (type === "bytes" ? bytes(value) : value.toLocaleString("en-GB"));
  return [
    ...(least === undefined ? [] : [`at least ${said(least)}`]),
    ...(most === undefined ? [] : [`at most ${said(most)}`]),
  ].join(", ");
}

function Input({ field, value, set }: { field: Field; value: unknown; set: (value: unknown) => void }) {
  const description = [field.description, bounds(field)].filter(Boolean).join("; ");
  const shared = { label: field.name, description, withAsterisk: field.needed };
  if (field.type === "boolean")
    return (
      <Switch
        label={field.name}
        description={field.description}
        checked={value === true}
        onChange={(event) => set(event.currentTarget.checked)}
      />
    );
  if (field.type === "bytes") {
    const typed = typeof value === "string" || typeof value === "number" ? String(value) : "";
    return (
      <TextInput
        {...shared}
        description={`In bytes, or as 64mb or 1.5gib; ${bounds(field)}${/^\d+$/.test(typed) ? `. It is ${bytes(Number(typed))}` : ""}`}
        value={typed}
        onChange={(event) => set(event.currentTarget.value)}
      />
    );
  }
  if (field.type === "number")
    return (
      <NumberInput
        {...shared}
        value={typeof value === "number" ? value : ""}
        onChange={(next) => set(next === "" ? undefined : Number(next))}
      />
    );
  if (field.type === "choice")
    return (
      <Select
        {...shared}
        data={field.choices}
        value={typeof value === "string" ? value : null}
        onChange={(next) => set(next ?? undefined)}
      />
    );
  const text = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  if (field.type === "json")
    return (
      <Textarea
        {...shared}
        description={`${field.description} (JSON)`}
        autosize
        value={text}
        onChange={(event) => set(event.currentTarget.value)}
      />
    );
  return <TextInput {...shared} value={text} onChange={(event) => set(event.currentTarget.value)} />;
}
