import { Button, Group, MultiSelect, NumberInput, Select, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas } from "~/api/client";
import { asked, client } from "~/api/queries";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { useNow, When } from "~/components/When";
import { Scoreboard } from "./Scoreboard";

type Run = Schemas["ValidationView"];
const time = (unix: number) => new Date(unix * 1000).toISOString();

/** A fault from its injection to its proof, one or all of them, and how well it went over time. */
export function Validation() {
  const validations = useQuery(asked.validations());
  return (
    <>
      <Title
        name="Validation"
        says="The lab breaks something and judges by itself, with probes of its own, whether Watchkeeper healed it."
      />
      <div className="stack">
        <Begin />
        <Scoreboard />
        <section aria-label="Runs">
          <Loaded query={validations}>
            {({ items }) =>
              items.length === 0 ? (
                <Empty title="No run yet">Choose a fault above: each step is shown here as it happens.</Empty>
              ) : (
                <Lately items={items} />
              )
            }
          </Loaded>
        </section>
      </div>
    </>
  );
}

const FEW = 20;

function Lately({ items }: { items: Run[] }) {
  const [all, setAll] = useState(false);
  return (
    <div className="stack">
      {(all ? items : items.slice(0, FEW)).map((run) => (
        <One key={run.id} run={run} />
      ))}
      {!all && items.length > FEW && (
        <Button variant="default" onClick={() => setAll(true)}>
          All {items.length} runs
        </Button>
      )}
    </div>
  );
}

function Begin() {
  const { data: failures } = useQuery(asked.failures());
  const { data: status } = useQuery(asked.status());
  const [fault, setFault] = useState<string | null>(null);
  const [only, setOnly] = useState<string[]>([]);
  const [deadline, setDeadline] = useState(120);
  const there = (failures?.items ?? []).filter((one) => !one.left_out);
  const grouped = (["fault", "control"] as const).map((kind) => ({
    group: kind === "fault" ? "Faults" : "Controls",
    items: there.filter((one) => one.kind === kind).map(({ name }) => name),
  }));
  const chosen = there.find(({ name }) => name === fault);
  const begun = () => {
    void client.invalidateQueries({ queryKey: ["validations"] });
    void client.invalidateQueries({ queryKey: ["benchmarks"] });
  };
  return (
    <section className="card">
      <h2>Begin</h2>
      {status && status.mode !== "auto" && (
        <Text size="sm" mb="sm" className="bad">
          Mode is {status.mode}:{" "}
          {status.mode === "observe" ? "nothing will be healed." : "each fix waits for your yes."}
        </Text>
      )}
      <div className="pair">
        <Group align="flex-end" gap="xs" wrap="nowrap">
          <Select
            label="One fault or control"
            placeholder="choose"
            data={grouped}
            value={fault}
            onChange={setFault}
            searchable
            style={{ flex: 1, minWidth: 0 }}
          />
          <Act
            label="Validate"
            variant="filled"
            disabled={!fault}
            says={
              <>
                The lab is reset, then: {chosen?.description}. It is measured how long Watchkeeper takes from fault to
                proof, and afterwards the lab is reset again.
              </>
            }
            run={async () => {
              await ask(api.POST("/api/validation", { body: { fault: fault ?? "", deadline } }));
              begun();
            }}
          />
        </Group>
        <Group align="flex-end" gap="xs">
          <MultiSelect
            label="Benchmark"
            placeholder={only.length ? undefined : "the whole suite"}
            data={grouped}
            value={only}
            onChange={setOnly}
            searchable
            clearable
            clearButtonProps={{ "aria-label": "All of them" }}
            style={{ flex: 1, minWidth: 180 }}
          />
          <NumberInput
            label="Seconds each"
            value={deadline}
            onChange={(value) => setDeadline(Number(value) || 120)}
            min={1}
            max={1800}
            w={110}
          />
          <Act
            label="Run benchmark"
            says={`${only.length ? only.join(", ") : "Every fault and control of the suite"}: one after the other in random order, the lab reset between. Each takes from half a minute to two. The result is kept.`}
            run={async () => {
              await ask(api.POST("/api/benchmarks", { body: { only, deadline } }));
              begun();
            }}
          />
        </Group>
      </div>
    </section>
  );
}

const SIGNS: Record<string, string> = { done: "✓", failed: "✕", running: "▸", waiting: "○", skipped: "–" };

/** Right was to find nothing: then nothing has failed. */
const nothing = (step: Schemas["ValidationStep"]): Schemas["ValidationStep"] => ({ ...step, status: "skipped" });

function One({ run }: { run: Run }) {
  const row = run.row as { right?: boolean; verdict?: string; reasons?: string[]; seconds?: { total?: number } } | null;
  const judged = row ? (row.right ? "right" : "wrong") : run.status;
  return (
    <section className="card" aria-label={run.fault}>
      <Group justify="space-between" mb="sm">
        <Text fw={600}>
          {run.fault} <span className={`step step-${judged}`}>{judged}</span>
        </Text>
        <Text size="sm" c="dimmed" className="figure">
          {row?.verdict?.replaceAll("_", " ")} {row?.seconds?.total ? `in ${seconds(row.seconds.total)}, ` : ""}
          <When at={time(run.began)} />
        </Text>
      </Group>
      <ol className="stepper" aria-label="Steps">
        {run.steps.map((step) => (
          <Ticking key={step.name} step={row?.right && step.status === "failed" ? nothing(step) : step} />
        ))}
      </ol>
      {run.error && (
        <Text size="sm" className="bad" mt="sm">
          {run.error}
        </Text>
      )}
      {row?.reasons?.map((reason) => (
        <Text key={reason} size="sm" className="bad" mt={4}>
          {reason}
        </Text>
      ))}
      {run.told.length > 0 && (
        <details style={{ marginTop: 8 }} open={run.status === "running"}>
          <summary style={{ fontSize: "0.875rem" }}>What was seen</summary>
          <pre className="told" tabIndex={0}>
            {run.told.join("\n")}
          </pre>
        </details>
      )}
    </section>
  );
}

function Ticking({ step }: { step: Schemas["ValidationStep"] }) {
  const now = useNow();
  const running = step.status === "running" && step.began !== null;
  const lasts = step.seconds ?? (running ? Math.max(0, Math.round(now / 1000 - (step.began ?? 0))) : null);
  return (
    <li className={`tick tick-${step.status}`} title={step.what}>
      <span>
        <span aria-hidden="true">{SIGNS[step.status]}</span> {step.name} <span className="hidden">{step.status}</span>
      </span>
      <span className="figure">{lasts === null ? "" : seconds(lasts)}</span>
      <span className="what">{step.status === "done" ? step.what : ""}</span>
    </li>
  );
}
