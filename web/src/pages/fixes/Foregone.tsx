import { Table, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { seconds } from "~/components/figures";
import { useNames } from "~/components/names";
import { Older } from "~/components/States";
import { given } from "~/components/Steps";
import { When } from "~/components/When";

type Proposal = Schemas["ProposalView"];

const POLICY = { allow: "would have allowed it", ask: "would have asked first", deny: "would have denied it" } as const;
const ENDINGS: Record<Proposal["ending"], string> = {
  same: "people did the same",
  other: "people did something else",
  recovered: "it recovered meanwhile",
  gone: "it was removed",
  unwell: "it is not well yet",
};

/** What it would have done where it might not act: each plan, when, what policy would have said, and what happened. */
export function Foregone({ days }: { days: number }) {
  const query = useInfiniteQuery(asked.proposals(days));
  const items = query.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <section className="card" style={{ marginBottom: 16 }} aria-label="What it would have done">
      <h2>What it would have done</h2>
      <div className="scroll" tabIndex={0} role="region" aria-label="Plans that were not carried out">
        <Table verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>When</Table.Th>
              <Table.Th>Plan</Table.Th>
              <Table.Th>Policy, in mode auto</Table.Th>
              <Table.Th>What then happened</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items.map((one) => (
              <One key={one.id} one={one} />
            ))}
          </Table.Tbody>
        </Table>
      </div>
      <Older query={query} name="plans" />
    </section>
  );
}

function One({ one }: { one: Proposal }) {
  const nameOf = useNames();
  return (
    <Table.Tr style={{ verticalAlign: "top" }}>
      <Table.Td style={{ whiteSpace: "nowrap" }}>
        <When at={one.at} />
        <Text size="xs" c="dimmed">
          {seconds(one.after_seconds)} after the first sign
        </Text>
      </Table.Td>
      <Table.Td style={{ minWidth: 220 }}>
        {one.steps.map((step, index) => (
          <div key={index}>
            <Link to="/incidents/$key" params={{ key: one.incident }}>
              {step.tool}
            </Link>{" "}
            on {nameOf(step.resource)} {given(step.arguments, step.in_bytes)}
          </div>
        ))}
        <Text size="xs" c="dimmed">
          {one.author}: {one.history}.
          {one.then.length > 0 && ` Next: ${one.then.map((plan) => plan.join(", ")).join("; ")}.`}
        </Text>
      </Table.Td>
      <Table.Td style={{ minWidth: 160 }}>
        {POLICY[one.policy.outcome]}
        <Text size="xs" c="dimmed">
          {one.policy.policy}: {one.policy.reason}
        </Text>
      </Table.Td>
      <Table.Td style={{ minWidth: 160 }}>
        {ENDINGS[one.ending]}
        {one.needless && ", before it would have been through"}
        <Text size="xs" c="dimmed">
          {one.held === "unanswered" && "Nobody answered. "}
          {one.what}
        </Text>
      </Table.Td>
    </Table.Tr>
  );
}
