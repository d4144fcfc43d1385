"""`/api/incidents/{key}/chain`: each decision from the evidence to its outcome."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel

from watchkeeper.domain import Decision, Effect, Evidence, Fix, Incident, LogLine, Reading, VerdictOutcome
from watchkeeper.domain.interaction import Interaction
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Viewer

router = APIRouter(prefix="/api", tags=["incidents"])
NEAR = timedelta(milliseconds=1)
"""A cited time is a stored one, up to the precision of a clock."""
LONGEST = 200
"""Characters of a log line in a report."""
FIGURES = 5
"""Metrics of a reading in a report."""
LINES = 1000
"""Log lines among which a cited one is sought."""


class Cited(BaseModel):
    """A piece of evidence, and what it stands for as it is stored: a reading, or a log line; neither where what was
    cited is an alert, a change or an answer, or is kept no more."""

    resource: str
    at: datetime
    what: str
    reading: Reading | None = None
    line: LogLine | None = None
    kept: str = ""
    """What is kept of it, in short."""


class Planned(BaseModel):
    """What one of the steps was to do, as it was planned."""

    tool: str
    resource: str
    effect: Effect
    why: str
    expected: str


class Decided(BaseModel):
    """One plan that was carried out: why, what, who allowed it, and what came of it."""

    fix: str
    author: str
    cause: str
    confidence: float | None
    steps: list[Planned]
    decision: Decision
    approved_by: str
    verdict: VerdictOutcome | None
    said: str
    """The verdict, or how far it is, in a word or two."""
    reasons: list[str]


class Took(BaseModel):
    """What a model took for an incident. `cost` in US dollars, None where no price is known; `seconds` are its own;
    `sent_back`: answers that a check refused."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float
    sent_back: int


class Chain(BaseModel):
    """Evidence, hypotheses ruled out, plans with what policy said and how each ended, and what a model was asked."""

    incident: str
    root: str
    author: str
    cause: str
    reasoning: str
    confidence: float | None
    evidence: list[Cited]
    against: list[Cited]
    ruled_out: list[str]
    decisions: list[Decided]
    refused: dict[str, str]
    interactions: list[str]
    """Ids of `/api/llm/interactions`, in order."""
    took: Took | None
    """None where no model was asked."""


@router.get("/incidents/{key}/chain")
async def chain(key: str, runtime: Here, _: Viewer) -> Chain:
    """How it was decided, from the evidence to the outcome; what was cited is looked up in the store."""
    incident = await runtime.store.get(Incident, key)
    found = incident.diagnosis
    fixes = await runtime.store.select(Fix, incident=key)
    asked = await runtime.store.select(Interaction, incident=key)
    return Chain(
        incident=key,
        root=incident.root,
        author=found.author if found else "",
        cause=found.cause if found else "",
        reasoning=found.reasoning if found else "",
        confidence=found.confidence if found else None,
        evidence=[await _cited(runtime, one) for one in found.evidence] if found else [],
        against=[await _cited(runtime, one) for one in found.against] if found else [],
        ruled_out=list(found.ruled_out) if found else [],
        decisions=[_decided(fix) for fix in reversed(fixes)],
        refused=dict(incident.refusals),
        interactions=[one.id for one in reversed(asked)],
        took=_took(asked) if asked else None,
    )


def _took(asked: Sequence[Interaction]) -> Took:
    known = [one.cost for one in asked if one.cost is not None]
    return Took(
        requests=len(asked),
        input_tokens=sum(one.input_tokens for one in asked),
        output_tokens=sum(one.output_tokens for one in asked),
        cost=sum(known) if len(known) == len(asked) else None,
        seconds=round(sum(one.seconds for one in asked), 3),
        sent_back=sum(bool(one.checks) for one in asked),
    )


async def _cited(runtime: Runtime, one: Evidence) -> Cited:
    readings = await runtime.store.readings(one.resource, since=one.at - NEAR, until=one.at + NEAR, limit=1)
    lines = await runtime.store.logs(one.resource, since=one.at - NEAR, limit=LINES)
    line = next((line for line in lines if abs(line.at - one.at) <= NEAR), None)
    reading = readings[0] if readings and line is None else None
    found = Cited(resource=one.resource, at=one.at, what=one.what, reading=reading, line=line)
    found.kept = standing(found)
    return found


async def explained(runtime: Runtime, incident: Incident) -> Incident:
    """The same, each piece of its evidence with what it stands for in the store: for reports."""
    found = incident.diagnosis
    if found is None:
        return incident
    names = f"{found.cause} {found.reasoning}"

    async def with_what_is_kept(one: Evidence) -> Evidence:
        said = standing(await _cited(runtime, one), names)
        return replace(one, what=f"{one.what} ({said})") if said else one

    evidence = [await with_what_is_kept(one) for one in found.evidence]
    against = [await with_what_is_kept(one) for one in found.against]
    return replace(incident, diagnosis=replace(found, evidence=tuple(evidence), against=tuple(against)))


def standing(one: Cited, names: str = "") -> str:
    """What is kept of it, in short: the log line, or the figures that its words or `names` name; else its shares."""
    if one.line is not None:
        return f"log line {one.line.at:%H:%M:%S}: {one.line.text[:LONGEST]}"
    if one.reading is None:
        return ""
    figures = one.reading.metrics
    words = set(re.findall(r"\w+", f"{one.what} {names}"))
    chosen = [name for name in figures if name in words] or [n for n in figures if n.endswith("_ratio") and figures[n]]
    said = " ".join(f"{name}={figures[name]:.4g}" for name in chosen[:FIGURES])
    return f"stored reading {one.reading.at:%H:%M:%S}: {one.reading.error or said or one.reading.state}"


def _decided(fix: Fix) -> Decided:
    diagnosis, verdict = fix.plan.diagnosis, fix.verdict
    return Decided(
        fix=fix.id,
        author=fix.plan.author,
        cause=diagnosis.cause if diagnosis else "",
        confidence=diagnosis.confidence if diagnosis else None,
        steps=[
            Planned(tool=s.tool, resource=s.resource, effect=s.effect, why=s.why, expected=s.expected)
            for s in fix.plan.steps
        ],
        decision=fix.decision,
        approved_by=fix.approved_by,
        verdict=verdict.outcome if verdict else None,
        said=fix.said,
        reasons=list(verdict.reasons) if verdict else [],
    )
