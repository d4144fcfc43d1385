import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, type Approval, ask } from "~/api/client";
import { asked } from "~/api/queries";
import { Act } from "./Act";
import { useNames } from "./names";
import { Picture } from "./Picture";
import { EffectBadge, Steps } from "./Steps";
import { When } from "./When";

/** Whether all that is shown beside a plan has been asked for: nothing may move under the finger that approves. */
export function useBeside(): boolean {
  const all = [useQuery(asked.status()), useQuery(asked.map()), useQuery(asked.tools()), useQuery(asked.took())];
  return all.every((one) => !one.isPending || one.errorUpdateCount > 0);
}

/** What waits for a person: what would happen, why it asks, and the two buttons. */
export function Decide({ approval }: { approval: Approval }) {
  const nameOf = useNames();
  const path = { params: { path: { key: approval.id } } };
  const what = (
    <ol className="planned">
      {approval.plan.steps.map((step, index) => (
        <li key={index}>
          {step.tool} on {nameOf(step.resource)} <EffectBadge effect={step.effect} />
        </li>
      ))}
    </ol>
  );
  const loses = approval.plan.steps.some((step) => step.effect === "destructive");
  return (
    <Stack gap="sm">
      <Text size="sm">
        {approval.decision.reason} <span className="figure">Expires </span>
        <When at={approval.expires_at} />.
      </Text>
      <Picture approval={approval} />
      <Steps steps={approval.plan.steps} />
      {approval.decision.warnings.map((warning) => (
        <Text key={warning} size="sm" className="bad">
          {warning}
        </Text>
      ))}
      <Group gap="xs" className="decides">
        <Act
          label="Approve"
          color={loses ? "red.9" : undefined}
          variant="filled"
          says={
            <>
              This begins at once: {what}
              {loses && <b className="bad">Data is lost, and cannot be brought back. </b>}
              Then it is verified; what did not help is undone where it has an undo. A plan that has changed meanwhile
              asks again.
            </>
          }
          note="optional"
          run={(note) => ask(api.POST("/api/approvals/{key}/approve", { ...path, body: { note } }))}
        />
        <Act
          label="Reject"
          says={
            <>
              Nothing of this is done: {what}
              The incident stays open and goes on to whatever else policy allows, or to a person.
            </>
          }
          note="optional"
          run={(note) => ask(api.POST("/api/approvals/{key}/reject", { ...path, body: { note } }))}
        />
      </Group>
    </Stack>
  );
}
