import { Group, SegmentedControl, Select, Table, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { Fix, Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { seconds } from "~/components/figures";
import { useNames } from "~/components/names";
import { Empty, Loaded, Older } from "~/components/States";
import { Verdict } from "~/components/Status";
import { Title } from "~/components/Title";
import { When } from "~/components/When";
import { Foregone } from "./Foregone";

const resources = (fix: Fix): string[] => [...new Set(fix.plan.steps.map((step) => step.resource))];

export function Fixes() {
  const { days = "30" } = useSearch({ from: "/fixes" });
  const evaluation = useQuery(asked.evaluation(Number(days)));
  return (
    <>
      <Title name="Fix history" says="What was done, by whom, and what became of it.">
        <Span days={days} />
      </Title>
      <Loaded query={evaluation}>
        {(view) => (
          <>
            <Figures view={view} />
            <Foregone days={Number(days)} />
            <Tried by={view.by} days={Number(days)} />
          </>
        )}
      </Loaded>
    </>
  );
}

const SPANS = { "1": "24 h", "7": "7 d", "30": "30 d", "90": "90 d" };

function Span({ days }: { days: string }) {
  const navigate = useNavigate({ from: "/fixes" });
  return (
    <SegmentedControl
      size="xs"
      aria-label="Of the last"
      value={days}
      transitionDuration={0}
      onChange={(value) => void navigate({ search: (before) => ({ ...before, days: value }), replace: true })}
      data={Object.entries(SPANS).map(([value, label]) => ({ value, label }))}
    />
  );
}

function Figures({ view }: { view: Schemas["EvaluationView"] }) {
  const observed = view.observed;
  return (
    <>
      <div className="figures">
        <Figure
          name="Healed"
          value={
            view.fixes.rate !== null
              ? `${Math.round(view.fixes.rate * 100)} %`
              : view.fixes.tried > 0
                ? `${view.fixes.healed} of ${view.fixes.tried}`
                : "–"
          }
          says={view.fixes.said}
        />
        {Object.entries(view.seconds)
          .filter(([, times]) => times.median !== null)
          .map(([name, times]) => (
            <Figure
              key={name}
              name={name.replaceAll("_", " ")}
              value={seconds(times.median ?? 0)}
              says={`median of ${times.count}${typeof times.p90 === "number" ? `; nine of ten within ${seconds(times.p90)}` : ""}`}
            />
          ))}
        {observed.proposals > 0 && (
          <Figure
            name="In observe mode"
            value={`${observed.proposals} proposal${observed.proposals === 1 ? "" : "s"}`}
            says={`What it would have done: ${observed.same} as people did, ${observed.other} otherwise, ${observed.needless} needless, ${observed.recovered} recovered by themselves; policy would have allowed ${observed.allowed}, asked for ${observed.asked}, denied ${observed.denied}`}
          />
        )}
      </div>
      <OverTime groups={view.over_time} bucket={view.bucket} />
      <WhatFixes by={view.by} />
    </>
  );
}

function Figure({ name, value, says }: { name: string; value: string; says: string }) {
  return (
    <div className="card">
      <Text size="sm" c="dimmed">
        {name}
      </Text>
      <div className="big">{value}</div>
      <Text size="xs" c="dimmed">
        {says}
      </Text>
    </div>
  );
}

const WIDTH = 640;
const HEIGHT = 120;

/** How long it took from fault to proof, day by day: one bar each, as high as its median. */
function OverTime({ groups, bucket }: { groups: Schemas["Group"][]; bucket: string }) {
  const tried = groups.filter((group) => group.fixes.tried > 0);
  const bars = tried.map((group) => ({ group, median: Object.values(group.seconds).at(-1)?.median ?? null }));
  const high = Math.max(...bars.map(({ median }) => median ?? 0));
  if (tried.length === 0) return null;
  const wide = Math.min(64, WIDTH / bars.length);
  const said = (group: Schemas["Group"], median: number | null) =>
    `${group.name}: ${group.fixes.said}${median === null ? "" : `; median ${seconds(median)} from fault to proof`}`;
  return (
    <section className="card" style={{ marginBottom: 16 }}>
      <h2>Time to repair, by {bucket}</h2>
      <svg
        viewBox={`0 0 ${Math.max(wide * bars.length, 240)} ${HEIGHT}`}
        className="course"
        role="img"
        aria-label={bars.map(({ group, median }) => said(group, median)).join(". ")}
        style={{ maxWidth: Math.max(wide * bars.length, 240) }}
      >
        {bars.map(({ group, median }, index) => {
          const tall = high ? ((median ?? 0) / high) * (HEIGHT - 44) : 0;
          return (
            <g key={group.name}>
              <title>{said(group, median)}</title>
              <rect
                x={index * wide + 4}
                y={HEIGHT - 24 - tall}
                width={wide - 8}
                height={tall}
                className={group.fixes.healed === group.fixes.tried ? "course-right" : "course-some"}
              />
              <text x={(index + 0.5) * wide} y={HEIGHT - 30 - tall} textAnchor="middle">
                {median === null ? "–" : seconds(median)}
              </text>
              <text x={(index + 0.5) * wide} y={HEIGHT - 8} textAnchor="middle">
                {group.name.slice(5)}
              </text>
            </g>
          );
        })}
      </svg>
    </section>
  );
}

/** What fixes what: by tool, by cause, by whatever the evaluation groups by. */
function WhatFixes({ by }: { by: Schemas["EvaluationView"]["by"] }) {
  const nameOf = useNames();
  const names = Object.keys(by).filter((name) => (by[name]?.length ?? 0) > 0);
  const [chosen, setChosen] = useState<string | null>(null);
  const name = chosen ?? names[0];
  if (!name) return null;
  return (
    <section className="card" style={{ marginBottom: 16 }}>
      <Group justify="space-between" mb="sm">
        <h2 style={{ margin: 0, fontSize: "0.9375rem" }}>What fixes what</h2>
        <SegmentedControl
          size="xs"
          aria-label="By"
          value={name}
          onChange={setChosen}
          transitionDuration={0}
          data={names.map((value) => ({ value, label: value.replaceAll("_", " ") }))}
        />
      </Group>
      <div className="scroll" tabIndex={0} role="region" aria-label="What fixes what">
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{name.replaceAll("_", " ")}</Table.Th>
              <Table.Th>Healed</Table.Th>
              <Table.Th>Median time, fault to proof</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {by[name]?.map((group) => {
              const median = Object.values(group.seconds).at(-1)?.median;
              return (
                <Table.Tr key={group.name}>
                  <Table.Td>{name === "resource" ? nameOf(group.name) : group.name}</Table.Td>
                  <Table.Td>{group.fixes.said}</Table.Td>
                  <Table.Td>{median === null || median === undefined ? "–" : seconds(median)}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </div>
    </section>
  );
}

const VERDICTS = [
  "healed",
  "still well",
  "recovered",
  "not healed",
  "not tried",
  "inconclusive",
  "running",
  "executed",
  "undoing",
  "closed",
] as const;

function Tried({ by, days }: { by: Schemas["EvaluationView"]["by"]; days: number }) {
  const filter = useSearch({ from: "/fixes" });
  const { resource, author } = filter;
  const nameOf = useNames();
  const verdict = VERDICTS.find((one) => one === filter.verdict);
  const query = useInfiniteQuery(asked.fixes({ days, resource, author, verdict }));
  const items = query.data?.items ?? [];
  const names = (group: string) => by[group]?.map(({ name }) => name) ?? [];
  const navigate = useNavigate({ from: "/fixes" });
  const choice = (name: "resource" | "author" | "verdict", label: string, data: string[]) => (
    <Select
      aria-label={label}
      placeholder={label}
      data={[...new Set([...data, ...(filter[name] ? [filter[name]] : [])])]
        .sort()
        .map((value) => ({ value, label: name === "resource" ? nameOf(value) : value }))}
      searchable={data.length > 10}
      value={filter[name] ?? null}
      clearable
      clearButtonProps={{ "aria-label": `No filter: ${label}` }}
      onChange={(value) =>
        void navigate({ search: (before) => ({ ...before, [name]: value ?? undefined }), replace: true })
      }
    />
  );
  const filtered = Boolean(resource ?? author ?? verdict);
  if (query.data && items.length === 0 && !query.hasNextPage && !filtered)
    return <Empty title="No fix in this time">What Watchkeeper or a person does through it is kept here.</Empty>;
  return (
    <>
      <Group mb="sm" gap="sm">
        {choice("resource", "Resource", [...names("resource"), ...items.flatMap(resources)])}
        {choice("author", "Author", [...names("author"), ...items.map((fix) => fix.plan.author)])}
        {choice("verdict", "Verdict", [...VERDICTS])}
      </Group>
      <div className="card scroll" tabIndex={0} role="region" aria-label="Fixes">
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>When</Table.Th>
              <Table.Th>What</Table.Th>
              <Table.Th>On</Table.Th>
              <Table.Th>By</Table.Th>
              <Table.Th>Verdict</Table.Th>
              <Table.Th>Took</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items.map((fix) => (
              <Table.Tr key={fix.id}>
                <Table.Td>
                  <When at={fix.started_at} />
                </Table.Td>
                <Table.Td>
                  {fix.incident ? (
                    <Link to="/incidents/$key" params={{ key: fix.incident }}>
                      {fix.plan.steps.map((step) => step.tool).join(", ")}
                    </Link>
                  ) : (
                    fix.plan.steps.map((step) => step.tool).join(", ")
                  )}
                </Table.Td>
                <Table.Td>{resources(fix).map(nameOf).join(", ")}</Table.Td>
                <Table.Td>{fix.plan.author}</Table.Td>
                <Table.Td title={fix.verdict?.reasons.join("\n")}>
                  <Verdict fix={fix} />
                </Table.Td>
                <Table.Td>
                  {fix.finished_at ? seconds((Date.parse(fix.finished_at) - Date.parse(fix.started_at)) / 1000) : "–"}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {query.data && items.length === 0 && !query.hasNextPage && <Empty title="Nothing fits the filter" />}
      </div>
      <Older query={query} name="fixes" />
    </>
  );
}
