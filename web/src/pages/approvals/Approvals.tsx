import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { asked } from "~/api/queries";
import { Decide } from "~/components/Decide";
import { useNames } from "~/components/names";
import { Empty, Loaded } from "~/components/States";
import { Title } from "~/components/Title";
import { When } from "~/components/When";

export function Approvals() {
  const nameOf = useNames();
  const approvals = useQuery(asked.approvals());
  return (
    <>
      <Title name="Approvals" says="What waits for a person. A plan that changes meanwhile asks again." />
      <Loaded query={approvals}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing waits">Whatever needs a person appears here by itself.</Empty>
          ) : (
            <div className="stack">
              {items.map((approval) => (
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
            </div>
          )
        }
      </Loaded>
    </>
  );
}
