import { Group, Select, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { Fix, Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { seconds, short } from "~/components/figures";
import { Empty, Loaded } from "~/components/States";
import { Verdict } from "~/components/Status";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

const outcome = (fix: Fix): string => fix.verdict?.outcome ?? fix.status;
const resources = (fix: Fix): string[] => [...new Set(fix.plan.steps.map((step) => step.resource))];

export function Fixes() {
  const fixes = useQuery(asked.fixes());
  const evaluation = useQuery(asked.evaluation());
  return (
    <>
      <Title
        name="Fix history"
        says="What was done, by whom, and what became of it. Figures are of the last thirty days."
      />
      <Loaded query={evaluation}>{(view) => <Figures view={view} />}</Loaded>
      <Loaded query={fixes}>{({ items }) => <Tried items={items} />}</Loaded>
    </>
  );
}

function Figures({ view }: { view: Schemas["EvaluationView"] }) {
  const observed = view.observed;
  return (
    <>
      <div className="figures">
        <Figure
          name="Healed"
          value={view.fixes.rate === null ? "–" : `${Math.round(view.fixes.rate * 100)} %`}
          says={view.fixes.said}
        />
        {Object.entries(view.seconds)
          .filter(([, times]) => times.median !== null)
          .map(([name, times]) => (
            <Figure
              key={name}
              name={name.replaceAll("_", " ")}
              value={seconds(times.median ?? 0)}
              says={`median of ${times.count}; nine of ten within ${seconds(times.p90 ?? 0)}`}
            />
          ))}
        {observed.proposals > 0 && (
          <Figure
            name="In observe mode"
            value={`${observed.proposals} proposals`}
            says={`${observed.same} as people did, ${observed.other} otherwise, ${observed.recovered} recovered by themselves`}
          />
        )}
      </div>
      <OverTime groups={view.over_time} bucket={view.bucket} />
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

function OverTime({ groups, bucket }: { groups: Schemas["Group"][]; bucket: string }) {
  const tried = groups.filter((group) => group.fixes.tried > 0);
  if (tried.length === 0) return null;
  return (
    <details className="card" style={{ marginBottom: 16 }}>
      <summary>By {bucket}</summary>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{bucket}</Table.Th>
            <Table.Th>Fixes</Table.Th>
            <Table.Th>Median time, fault to proof</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {tried.map((group) => {
            const median = Object.values(group.seconds).at(-1)?.median;
            return (
              <Table.Tr key={group.name}>
                <Table.Td>{group.name}</Table.Td>
                <Table.Td>{group.fixes.said}</Table.Td>
                <Table.Td>{median === null || median === undefined ? "–" : seconds(median)}</Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </details>
  );
}

function Tried({ items }: { items: Fix[] }) {
  const filter = useSearch({ from: "/fixes" });
  const navigate = useNavigate({ from: "/fixes" });
  const choice = (name: keyof typeof filter, label: string, data: string[]) => (
    <Select
      aria-label={label}
      placeholder={label}
      data={[...new Set(data)].sort()}
      value={filter[name] ?? null}
      clearable
      clearButtonProps={{ "aria-label": `No filter: ${label}` }}
      onChange={(value) =>
        void navigate({ search: (before) => ({ ...before, [name]: value ?? undefined }), replace: true })
      }
    />
  );
  const shown = items.filter(
    (fix) =>
      (!filter.resource || resources(fix).includes(filter.resource)) &&
      (!filter.author || fix.plan.author === filter.author) &&
      (!filter.verdict || outcome(fix) === filter.verdict),
  );
  if (items.length === 0)
    return <Empty title="No fix yet">What Watchkeeper or a person does through it is kept here.</Empty>;
  return (
    <>
      <Group mb="sm" gap="sm">
        {choice("resource", "Resource", items.flatMap(resources))}
        {choice(
          "author",
          "Author",
          items.map((fix) => fix.plan.author),
        )}
        {choice("verdict", "Verdict", items.map(outcome))}
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
            {shown.map((fix) => (
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
                <Table.Td>{resources(fix).map(short).join(", ")}</Table.Td>
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
      </div>
    </>
  );
}
