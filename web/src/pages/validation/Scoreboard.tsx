import { Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { Loaded } from "~/components/States";
import { When } from "~/components/When";

type Benchmark = Schemas["BenchmarkView"];
const time = (unix: number) => new Date(unix * 1000).toISOString();

interface Summary {
  faults?: number;
  faults_healed?: number;
  controls?: number;
  controls_left_alone?: number;
  falsely_healed?: number;
  needless_actions?: number;
  data_lost?: number;
  median_seconds?: { total?: number };
  worst_seconds?: { total?: number };
}
const summed = (one: Benchmark) => one.summary as Summary;

/** Newest first; what does not say when it was, last. */
export const inTime = (items: Benchmark[]): Benchmark[] =>
  [...items].sort((one, other) => (other.began ?? 0) - (one.began ?? 0) || one.name.localeCompare(other.name));

/** How each benchmark went, over time. */
export function Scoreboard() {
  const benchmarks = useQuery(asked.benchmarks());
  const [open, setOpen] = useState<string | null>(null);
  return (
    <section className="card">
      <h2>Scoreboard</h2>
      <Loaded query={benchmarks}>
        {({ items }) =>
          items.length === 0 ? (
            <Text size="sm" c="dimmed">
              No benchmark was run yet.
            </Text>
          ) : (
            <>
              <Running items={items} />
              <Course items={items} />
              <div className="scroll" tabIndex={0} role="region" aria-label="Scoreboard">
                <Table>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Benchmark</Table.Th>
                      <Table.Th>When</Table.Th>
                      <Table.Th>Faults right</Table.Th>
                      <Table.Th>Controls left alone</Table.Th>
                      <Table.Th>Median</Table.Th>
                      <Table.Th>Worst</Table.Th>
                      <Table.Th>Falsely healed</Table.Th>
                      <Table.Th>Needless</Table.Th>
                      <Table.Th>Lost writes</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {inTime(items).map((one) => (
                      <Line key={one.name} one={one} choose={() => setOpen(open === one.name ? null : one.name)} />
                    ))}
                  </Table.Tbody>
                </Table>
              </div>
              {open && <Rows name={open} />}
            </>
          )
        }
      </Loaded>
    </section>
  );
}

function Line({ one, choose }: { one: Benchmark; choose: () => void }) {
  const sum = summed(one);
  const bad = (count?: number) => <span className={count ? "bad" : undefined}>{count ?? "–"}</span>;
  return (
    <Table.Tr>
      <Table.Td>
        <button type="button" className="link" onClick={choose}>
          {one.name}
        </button>{" "}
        {one.complete === false && (
          <span className="step">{one.status === "running" ? "running" : "not complete"}</span>
        )}
      </Table.Td>
      <Table.Td>{one.began ? <When at={time(one.began)} /> : "not told"}</Table.Td>
      <Table.Td>
        {sum.faults_healed ?? "–"} of {sum.faults ?? "–"}
      </Table.Td>
      <Table.Td>
        {sum.controls_left_alone ?? "–"} of {sum.controls ?? "–"}
      </Table.Td>
      <Table.Td>{sum.median_seconds?.total ? seconds(sum.median_seconds.total) : "–"}</Table.Td>
      <Table.Td>{sum.worst_seconds?.total ? seconds(sum.worst_seconds.total) : "–"}</Table.Td>
      <Table.Td>{bad(sum.falsely_healed)}</Table.Td>
      <Table.Td>{bad(sum.needless_actions)}</Table.Td>
      <Table.Td>{bad(sum.data_lost)}</Table.Td>
    </Table.Tr>
  );
}

function Running({ items }: { items: Benchmark[] }) {
  const runs = items.find((one) => one.status === "running");
  if (!runs) return null;
  const done = summed(runs);
  const through = (done.faults ?? 0) + (done.controls ?? 0);
  return (
    <div className="running" role="status">
      <div>
        <Text size="sm" fw={600}>
          {runs.name} runs: {through} through, {runs.left?.length ?? 0} left
        </Text>
        <progress max={through + (runs.left?.length ?? 0)} value={through} aria-label="How far the benchmark is" />
      </div>
      <Act
        label="Stop it"
        size="xs"
        says={`${runs.name} is cut off and the lab is reset; what it has measured is kept.`}
        run={() => ask(api.DELETE("/api/benchmarks/{name}", { params: { path: { name: runs.name } } }))}
      />
    </div>
  );
}

const WIDTH = 640;
const HEIGHT = 90;

/** Share of what was right, one bar each, oldest first: of those that tell when they were. */
function Course({ items }: { items: Benchmark[] }) {
  const timed = inTime(items)
    .filter((one) => one.began)
    .reverse();
  if (timed.length < 2) return null;
  const wide = Math.min(60, WIDTH / timed.length);
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      className="course"
      role="img"
      aria-label={`${timed.length} benchmarks over time`}
    >
      {timed.map((one, index) => {
        const sum = summed(one);
        const all = (sum.faults ?? 0) + (sum.controls ?? 0);
        const right = (sum.faults_healed ?? 0) + (sum.controls_left_alone ?? 0);
        const high = all ? (right / all) * (HEIGHT - 24) : 0;
        return (
          <g key={one.name}>
            <title>{`${one.name}: ${right} of ${all} right`}</title>
            <rect x={index * wide + 2} y={0} width={wide - 4} height={HEIGHT - 24} className="course-all" />
            <rect
              x={index * wide + 2}
              y={HEIGHT - 24 - high}
              width={wide - 4}
              height={high}
              className={right === all ? "course-right" : "course-some"}
            />
            <text x={index * wide + wide / 2} y={HEIGHT - 8} textAnchor="middle">
              {right}/{all}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

interface Judged {
  name: string;
  right: boolean;
  verdict: string;
  seconds: { detect: number; decide: number; act: number; verify: number; total: number };
  tools: string[];
  reasons: string[];
}

function Rows({ name }: { name: string }) {
  const benchmark = useQuery(asked.benchmark(name));
  return (
    <Loaded query={benchmark}>
      {(one) => (
        <div className="scroll" tabIndex={0} role="region" aria-label={name} style={{ marginTop: 16 }}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{name}</Table.Th>
                <Table.Th>Right</Table.Th>
                <Table.Th>Verdict</Table.Th>
                <Table.Th>Detect</Table.Th>
                <Table.Th>Decide</Table.Th>
                <Table.Th>Act</Table.Th>
                <Table.Th>Verify</Table.Th>
                <Table.Th>Total</Table.Th>
                <Table.Th>With</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {(one.scenarios as unknown as Judged[]).map((row, index) => (
                <Table.Tr key={index} title={row.reasons.join("\n")}>
                  <Table.Td>{row.name}</Table.Td>
                  <Table.Td className={row.right ? "good" : "bad"}>{row.right ? "yes" : "no"}</Table.Td>
                  <Table.Td>{row.verdict.replaceAll("_", " ")}</Table.Td>
                  {(["detect", "decide", "act", "verify", "total"] as const).map((part) => (
                    <Table.Td key={part}>{row.seconds[part] ? seconds(row.seconds[part]) : "–"}</Table.Td>
                  ))}
                  <Table.Td>{row.tools.join(", ")}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </div>
      )}
    </Loaded>
  );
}
