import { Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { asked } from "~/api/queries";
import { seconds } from "~/components/figures";
import { Empty, Loaded, Older } from "~/components/States";
import { Output } from "~/components/Steps";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

export function Interactions() {
  const interactions = useInfiniteQuery(asked.interactions());
  const llm = useQuery(asked.llm());
  return (
    <>
      <Title
        name="Model interactions"
        says={
          llm.data &&
          `Planner: ${llm.data.planner}. Today ${llm.data.today.calls} calls, ${llm.data.today.tokens} tokens, $${llm.data.today.dollars}.`
        }
      />
      <Loaded query={interactions}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="The model was not asked yet">It is asked where no runbook knows what to do.</Empty>
          ) : (
            <div className="stack">
              {items.map((one) => (
                <details key={one.id} className="card">
                  <summary>
                    <b>{one.model}</b> {one.status} <When at={one.at} /> · {one.input_tokens} → {one.output_tokens}{" "}
                    tokens · {seconds(one.seconds)}
                    {typeof one.cost === "number" && ` · $${one.cost}`}
                  </summary>
                  <dl className="pairs" style={{ margin: "10px 0" }}>
                    {one.incident && (
                      <>
                        <dt>Incident</dt>
                        <dd>
                          <Link to="/incidents/$key" params={{ key: one.incident }}>
                            {one.incident}
                          </Link>
                        </dd>
                      </>
                    )}
                    <dt>Secrets masked</dt>
                    <dd>{one.masked}</dd>
                    <dt>Checks</dt>
                    <dd>{one.checks.length ? one.checks.join("; ") : "–"}</dd>
                  </dl>
                  {one.error && <Text className="bad">{one.error}</Text>}
                  <Text size="sm" fw={600}>
                    Asked
                  </Text>
                  <Output value={one.sent} />
                  <Text size="sm" fw={600} mt="sm">
                    Answered
                  </Text>
                  <Output value={one.answered} />
                </details>
              ))}
            </div>
          )
        }
      </Loaded>
      <Older query={interactions} name="requests" />
    </>
  );
}
