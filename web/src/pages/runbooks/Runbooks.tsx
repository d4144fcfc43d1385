import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { asked } from "~/api/queries";
import { given } from "~/components/Steps";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";

export function Runbooks() {
  const runbooks = useQuery(asked.runbooks());
  return (
    <>
      <Title
        name="Runbooks"
        says="What is tried when, from gentlest to harshest; each rung is verified before the next."
      />
      <Loaded query={runbooks}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No runbook" />
          ) : (
            <div className="stack">
              {items.map((runbook) => (
                <details key={`${runbook.kind}/${runbook.name}`} className="card">
                  <summary>
                    <b>{runbook.name}</b> <span className="step">{runbook.kind}</span> {runbook.cause}
                  </summary>
                  <dl className="pairs" style={{ marginTop: 12 }}>
                    <dt>When</dt>
                    <dd>
                      <code>{runbook.when}</code>
                    </dd>
                    <dt>Ladder</dt>
                    <dd>
                      <ol className="steps">
                        {runbook.ladder.map((rung, index) => (
                          <li key={index}>
                            {rung.map((step, at) => (
                              <div key={at}>
                                <code>{String(step.tool)}</code>{" "}
                                {given((step.with ?? step.arguments ?? {}) as Record<string, unknown>)}
                              </div>
                            ))}
                          </li>
                        ))}
                      </ol>
                    </dd>
                    {runbook.healed && (
                      <>
                        <dt>Healed</dt>
                        <dd>
                          <code>{runbook.healed}</code>
                        </dd>
                      </>
                    )}
                  </dl>
                  <Text component="div" size="sm" mt="md" className="page">
                    <pre tabIndex={0} style={{ whiteSpace: "pre-wrap" }}>
                      {runbook.page}
                    </pre>
                  </Text>
                </details>
              ))}
            </div>
          )
        }
      </Loaded>
    </>
  );
}
