import type { Fix, Incident } from "~/api/client";

const SAID: Record<string, string> = {
  open: "open",
  diagnosing: "diagnosing",
  awaiting_approval: "waits for approval",
  fixing: "fixing",
  verifying: "verifying",
  escalated: "handed to a person",
  healed: "healed",
  recovered: "recovered by itself",
  gone: "gone on purpose",
  by_human: "ended by a person",
  merged: "part of another",
};

export function IncidentStatus({ incident }: { incident: Pick<Incident, "status" | "outcome"> }) {
  const word = incident.outcome ?? incident.status;
  return <span className={`status status-${word}`}>{SAID[word] ?? word}</span>;
}

export function Verdict({ fix }: { fix: Pick<Fix, "said"> }) {
  return <span className={`status status-${fix.said.replace(" ", "_")}`}>{fix.said}</span>;
}
