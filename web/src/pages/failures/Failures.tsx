import { Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { useNow, When } from "~/components/When";

const time = (unix: number) => new Date(unix * 1000).toISOString();

export function Failures() {
  const failures = useQuery(asked.failures());
  return (
    <>
      <Title name="Failures" says="Break the lab, see it found and healed. Only where a lab is configured." />
      <Loaded query={failures}>
        {({ items }) => (
          <div className="two">
            <div className="stack">
              {items.map((one) => (
                <Failure key={one.name} one={one} />
              ))}
            </div>
            <Validations />
          </div>
        )}
      </Loaded>
    </>
  );
}

function Failure({ one }: { one: Schemas["FailureView"] }) {
  const params = { path: { fault: one.name } };
  return (
    <section className="card">
      <h2>
        {one.name} <span className="step">{one.kind}</span>
      </h2>
      <Text size="sm">{one.description}</Text>
      <Text size="sm" c="dimmed" mb="xs">
        Expected: {one.expect}
      </Text>
      {one.left_out ? (
        <Text size="sm">Not here: {one.left_out}</Text>
      ) : (
        <Group gap="xs">
          {one.in_effect_since === null ? (
            <Act
              label="Inject"
              color="red.9"
              variant="outline"
              says={`In the lab: ${one.description}`}
              run={() => ask(api.POST("/api/failures/{fault}", { params }))}
            />
          ) : (
            <>
              <Text size="sm" className="bad">
                in effect since <When at={time(one.in_effect_since)} />
              </Text>
              <Act
                label="End it"
                says={`${one.name} is taken back.`}
                run={() => ask(api.DELETE("/api/failures/{fault}", { params }))}
              />
            </>
          )}
          <Act
            label="Validate"
            says={`The lab is reset, then broken by ${one.name}, and it is measured how long Watchkeeper takes from fault to proof.`}
            run={() => ask(api.POST("/api/validation", { body: { fault: one.name, deadline: 300 } }))}
          />
        </Group>
      )}
    </section>
  );
}

function Validations() {
  const validations = useQuery(asked.validations());
  return (
    <Loaded query={validations}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="No validation yet" />
        ) : (
          <div className="stack">
            {items.slice(0, 10).map((run) => (
              <section key={run.id} className="card">
                <h2>
                  {run.fault} <span className="step">{run.status}</span>
                </h2>
                <dl className="pairs">
                  {run.steps.map((step) => (
                    <Ticking key={step.name} step={step} />
                  ))}
                </dl>
                {run.error && <Text className="bad">{run.error}</Text>}
              </section>
            ))}
          </div>
        )
      }
    </Loaded>
  );
}

function Ticking({ step }: { step: Schemas["ValidationStep"] }) {
  const now = useNow();
  const lasts = step.seconds ?? (step.began === null ? null : Math.max(0, Math.round(now / 1000 - step.began)));
  return (
    <>
      <dt>{step.name}</dt>
      <dd>
        {step.status} {lasts !== null && <span className="figure">{seconds(lasts)}</span>} {step.what}
      </dd>
    </>
  );
}
