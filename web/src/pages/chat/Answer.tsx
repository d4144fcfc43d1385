import { Group, Stack, Text } from "@mantine/core";
import { Link, useRouter } from "@tanstack/react-router";
import { type MouseEvent, useState } from "react";
import type { Schemas } from "~/api/client";
import { Act } from "~/components/Act";
import { seconds } from "~/components/figures";
import { useNames } from "~/components/names";
import { given, Steps } from "~/components/Steps";
import { type Citation, pieces, plainly, type Proposed, type Turn } from "./talk";

/** A question and what was answered, as it comes. */
export function Answer({ turn, streams }: { turn: Turn; streams: boolean }) {
  return (
    <article className="card">
      <Text fw={600} mb="xs">
        {turn.question}
      </Text>
      {turn.looks.length > 0 && (
        <details className="looks" open={streams && !turn.text}>
          <summary>
            {turn.looks.length} look{turn.looks.length > 1 ? "s" : ""}
          </summary>
          <ul>
            {turn.looks.map((look, index) => (
              <li key={index}>
                <code>{look.tool}</code> {given(look.arguments)}
              </li>
            ))}
          </ul>
        </details>
      )}
      {turn.again && (
        <Text size="sm" c="dimmed">
          Another model began anew: {turn.again}
        </Text>
      )}
      {turn.text ? (
        <div className="answer">
          {pieces(turn.text, turn.citations).map((piece, index) =>
            typeof piece === "string" ? <span key={index}>{piece}</span> : <Cited key={index} one={piece} />,
          )}
        </div>
      ) : (
        streams && (
          <Text size="sm" c="dimmed">
            {turn.looks.length ? "Looking…" : "Thinking…"}
          </Text>
        )
      )}
      {turn.plan && <Proposal plan={turn.plan} streams={streams} />}
      {turn.failed && (
        <Text size="sm" className="bad" mt="xs" role="alert">
          {turn.failed.detail} {turn.failed.next}
        </Text>
      )}
      {turn.unsupported?.map((one, index) => (
        <Text key={index} size="sm" className="bad" mt="xs">
          <span aria-hidden="true">▲</span> {one.figure} does not stand in [{one.marks.join(", ")}], which it cites for
          it.
        </Text>
      ))}
      {turn.model && (
        <Text size="xs" c="dimmed" mt="xs" className="figure">
          {turn.model}
          {typeof turn.tokens === "number" && ` · ${turn.tokens} tokens`}
          {typeof turn.cost_usd === "number" && ` · $${turn.cost_usd}`}
          {typeof turn.seconds === "number" && ` · ${seconds(turn.seconds)}`}
          {turn.removed?.length
            ? ` · ${turn.removed.length} reference${turn.removed.length > 1 ? "s" : ""} taken out that nothing stands for`
            : ""}
        </Text>
      )}
    </article>
  );
}

function Cited({ one }: { one: Citation }) {
  const router = useRouter();
  function go(event: MouseEvent) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    router.history.push(one.href);
  }
  const label = `[${one.mark.replace(/^\[|\]$/g, "")}]`;
  return one.href.startsWith("/") && !one.href.startsWith("/api") ? (
    <a href={one.href} onClick={go} title={one.said} className="cited">
      {label}
    </a>
  ) : (
    <span title={one.said} className="cited">
      {label}
    </span>
  );
}

/** What it proposes: nothing of it was done. The button goes the way of any other fix. */
function Proposal({ plan, streams }: { plan: Proposed; streams: boolean }) {
  const [said, setSaid] = useState<Schemas["Submitted"] | null>(null);
  const nameOf = useNames();
  const refused = plan.steps.flatMap((step) => step.refused || []);
  const what = plan.steps.map((step) => `${step.tool} on ${nameOf(step.resource)} (${step.effect})`).join(", then ");
  return (
    <section className="proposal" aria-label={`Proposed fix ${plan.token ?? ""}`}>
      <Stack gap="sm">
        <Text size="sm" fw={600}>
          It proposes: {plan.summary}
        </Text>
        <Steps
          steps={plan.steps.map((step) => ({
            tool: step.tool,
            resource: step.resource,
            arguments: step.with,
            why: step.why,
            effect: step.effect,
            by_hand: "",
            in_bytes: step.in_bytes ?? [],
          }))}
        />
        {refused.map((reason) => (
          <Text key={reason} size="sm" className="bad">
            {reason}
          </Text>
        ))}
        {said ? (
          <Text size="sm" role="status">
            {said.status}. {said.decision.reason}{" "}
            {said.approval_id ? (
              <Link to="/approvals">Approvals</Link>
            ) : plan.incident ? (
              <Link to="/incidents/$key" params={{ key: plan.incident }}>
                The incident
              </Link>
            ) : (
              said.fix_id && <Link to="/fixes">{said.fix_id}</Link>
            )}
          </Text>
        ) : (
          <Group>
            <Act
              label="Submit this fix"
              variant="filled"
              disabled={streams || refused.length > 0}
              says={`Submitted in your name: ${what}. Policy decides whether it begins at once or waits for an approval; then it is verified, and undone where it made things worse.`}
              run={async () =>
                setSaid(
                  await plainly<Schemas["Submitted"]>(
                    "/api/fixes",
                    plan.token
                      ? { proposal: plan.token }
                      : {
                          steps: plan.steps.map(({ tool, resource, with: arguments_, why }) => ({
                            tool,
                            resource,
                            with: arguments_,
                            why,
                          })),
                          cause: plan.cause ?? plan.summary,
                          incident: plan.incident ?? null,
                        },
                  ),
                )
              }
            />
          </Group>
        )}
      </Stack>
    </section>
  );
}
