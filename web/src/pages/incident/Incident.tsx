import { Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { type Event, type Fix, type Schemas } from "~/api/client";
import { asked } from "~/api/queries";
import { Decide, useBeside } from "~/components/Decide";
import { useNames } from "~/components/names";
import { Loaded } from "~/components/States";
import { IncidentStatus, Verdict } from "~/components/Status";
import { EffectBadge, sayings, Steps, WORST } from "~/components/Steps";
import { Title } from "~/components/Title";
import { When } from "~/components/When";
import { Actions, takenBack } from "./Actions";
import { Curves } from "./Curves";
import { Report } from "./Report";
import { Story } from "./Story";

type Detail = Schemas["IncidentDetail"];

export function IncidentPage() {
  const { key } = useParams({ from: "/incidents/$key" });
  const incident = useQuery(asked.incident(key));
  const beside = useBeside();
  return (
    <>
      {!(beside && incident.data) && (
        <Title name={`Incident ${key}`} says={<Link to="/incidents">All incidents</Link>} />
      )}
      <Loaded query={beside ? incident : { ...incident, data: undefined }}>
        {(detail) => <Told detail={detail} />}
      </Loaded>
    </>
  );
}

function Told({ detail }: { detail: Detail }) {
  const { incident, fixes, advice } = detail;
  const waiting = incident.approval?.status === "waiting" ? incident.approval : null;
  return (
    <>
      <Title
        name={incident.title}
        says={
          <>
            <IncidentStatus incident={incident} told={Boolean(advice)} /> · {incident.id} · opened{" "}
            <When at={incident.opened_at} />
            {incident.acknowledged && ` · ${incident.acknowledged.by} looks after it`}
          </>
        }
      >
        <Actions detail={detail} folded={waiting !== null} />
        <Report incident={incident.id} />
      </Title>
      {incident.reason && !waiting && <Text mb="md">{incident.reason}</Text>}
      {incident.to_do && (
        <Text mb="md" fw={600}>
          Next: {incident.to_do}
        </Text>
      )}
      {incident.held && (
        <Text mb="md" className="bad">
          {incident.held.reason}
        </Text>
      )}
      <div className="two">
        <div className="stack">
          {waiting && (
            <section className="card">
              <h2>Waits for a person</h2>
              <Decide approval={waiting} />
            </section>
          )}
          {incident.diagnosis && <Diagnosed diagnosis={incident.diagnosis} spared={incident.spared} />}
          {[...fixes]
            .sort((one, other) => Date.parse(one.started_at) - Date.parse(other.started_at))
            .map((fix) => (
              <Tried key={fix.id} fix={fix} events={detail.events} />
            ))}
          {advice && !waiting && (
            <section className="card">
              <h2>What it would do now</h2>
              <Text size="sm" mb="sm">
                {advice.cause} Policy: {advice.decision.outcome} ({advice.decision.policy}). {advice.decision.reason}
              </Text>
              <Steps steps={advice.steps} />
            </section>
          )}
          <Curves detail={detail} />
        </div>
        <div className="stack">
          <section className="card">
            <h2>As it happened</h2>
            <Story detail={detail} />
          </section>
          <Changed
            name="What changed before it opened"
            events={detail.changes.filter(({ at }) => at <= incident.opened_at)}
          />
          <Changed name="What changed since" events={detail.changes.filter(({ at }) => at > incident.opened_at)} />
        </div>
      </div>
    </>
  );
}

function Diagnosed({ diagnosis, spared }: { diagnosis: Schemas["Diagnosis"]; spared: string[] }) {
  const nameOf = useNames();
  return (
    <section className="card">
      <h2>Diagnosis</h2>
      <Text size="sm" fw={600}>
        {diagnosis.cause}
      </Text>
      <Text size="sm" mb="xs">
        {diagnosis.reasoning}
      </Text>
      {spared.map((told) => (
        <Text key={told} size="sm" mb="xs">
          {told}
        </Text>
      ))}
      <dl className="pairs">
        <dt>Root</dt>
        <dd>{nameOf(diagnosis.root)}</dd>
        <dt>By</dt>
        <dd>{diagnosis.author}</dd>
        {typeof diagnosis.confidence === "number" && (
          <>
            <dt>Confidence</dt>
            <dd>{Math.round(diagnosis.confidence * 100)} %</dd>
          </>
        )}
        {diagnosis.evidence.length > 0 && (
          <>
            <dt>Evidence</dt>
            <dd>
              {diagnosis.evidence.map((one) => (
                <div key={`${one.at}${one.what}`}>
                  {one.what}{" "}
                  <Text span size="xs" c="dimmed">
                    ({nameOf(one.resource)}, <When at={one.at} />)
                  </Text>
                </div>
              ))}
            </dd>
          </>
        )}
        {diagnosis.against.length > 0 && (
          <>
            <dt>Against it</dt>
            <dd>{diagnosis.against.map((one) => one.what).join("; ")}</dd>
          </>
        )}
        {diagnosis.ruled_out.length > 0 && (
          <>
            <dt>Ruled out</dt>
            <dd>{diagnosis.ruled_out.join("; ")}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Tried({ fix, events }: { fix: Fix; events: Event[] }) {
  const back = takenBack(events, fix.id);
  const worst = WORST.findLast((effect) => fix.plan.steps.some((step) => step.effect === effect));
  return (
    <section className="card">
      <Group justify="space-between" mb="sm">
        <Text fw={600}>
          Fix <Verdict fix={fix} />
        </Text>
        {worst && <EffectBadge effect={worst} />}
      </Group>
      <Text size="sm" mb="sm">
        By {fix.plan.author}; policy {fix.decision.policy}: {fix.decision.outcome}.{" "}
        {fix.approved_by && `Approved by ${fix.approved_by.replace(/^\w+:/, "")}. `}
        Begun <When at={fix.started_at} />.
      </Text>
      <Steps steps={fix.plan.steps} records={fix.steps} said={sayings(events, fix.id)} />
      {fix.undo.length > 0 && (
        <Text size="sm" mt="sm">
          Taken back: {fix.undo.map((step) => `${step.tool} (${step.status})`).join(", ")}
        </Text>
      )}
      {back && (
        <Text size="sm" mt="sm">
          Taken back by {back.by.replace(/^\w+:/, "")} <When at={back.at} />.
        </Text>
      )}
      {fix.verdict && (
        <>
          <Text size="sm" fw={600} mt="sm">
            Verification
          </Text>
          <ul style={{ margin: "4px 0 0", paddingLeft: 20, fontSize: "0.875rem" }}>
            {fix.verdict.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
            {fix.verdict.probe &&
              !fix.verdict.reasons.some((reason) => reason.includes(fix.verdict?.probe?.what ?? "")) && (
                <li>
                  Probe: {fix.verdict.probe.what},{" "}
                  {fix.verdict.probe.ok ? "passed" : (fix.verdict.probe.error ?? "failed")}
                </li>
              )}
          </ul>
        </>
      )}
    </section>
  );
}

const FEW = 12;

function Changed({ name, events }: { name: string; events: Event[] }) {
  const [all, setAll] = useState(false);
  if (events.length === 0) return null;
  return (
    <section className="card">
      <h2>{name}</h2>
      <ul className="story" aria-label={name}>
        {(all ? events : events.slice(0, FEW)).map((event) => (
          <li key={event.seq} style={{ gridTemplateColumns: "4.75rem 1fr" }}>
            <When at={event.at} />
            <span className="said">{event.text}</span>
          </li>
        ))}
      </ul>
      {!all && events.length > FEW && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          All {events.length}
        </button>
      )}
    </section>
  );
}
