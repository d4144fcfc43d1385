import { Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { asked } from "~/api/queries";
import { Decide, useBeside } from "~/components/Decide";
import { useNames } from "~/components/names";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

const AT_ONCE = 20;

export function Approvals() {
  const nameOf = useNames();
  const [many, setMany] = useState(AT_ONCE);
  const approvals = useQuery(asked.approvals());
  const beside = useBeside();
  return (
    <>
      <Title name="Approvals" says="What waits for a person. A plan that changes meanwhile asks again." />
      <Loaded query={beside ? approvals : { ...approvals, data: undefined }}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing waits">Whatever needs a person appears here by itself.</Empty>
          ) : (
            <div className="stack">
              {items.slice(0, many).map((approval) => (
                <section key={approval.id} className="card">
                  <h2>
                    {approval.plan.steps.map((step) => step.tool).join(", ")} on{" "}
                    {nameOf(approval.plan.steps[0]?.resource ?? "")}
                  </h2>
                  <p style={{ margin: "0 0 10px", fontSize: "0.875rem" }}>
                    {approval.plan.diagnosis?.cause} Asked by {approval.requested_by.name},{" "}
                    <When at={approval.created_at} />.{" "}
                    {approval.incident && (
                      <Link to="/incidents/$key" params={{ key: approval.incident }}>
                        The incident
                      </Link>
                    )}
                  </p>
                  <Decide approval={approval} />
                </section>
              ))}
              {items.length > many && (
                <Group gap="sm">
                  <Text size="sm" c="dimmed" role="status">
                    The newest {many} of {items.length} that wait.
                  </Text>
                  <Button size="xs" variant="default" onClick={() => setMany(many + AT_ONCE)}>
                    Older ones
                  </Button>
                </Group>
              )}
            </div>
          )
        }
      </Loaded>
    </>
  );
}
