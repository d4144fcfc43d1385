"""An incident with all that its page tells, and the sentences that its data allow. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.domain import Alert, Approval, Effect, Event, Fix, Health, Incident, LogLine, Reading, Rule
from watchkeeper.domain.figures import figure, unit
from watchkeeper.domain.spared import spared
from watchkeeper.domain.spoken import spoken
from watchkeeper.notify.figures import changed, lasting, together, undone

KINDS = {
    "redis": "Redis",
    "postgres": "PostgreSQL",
    "http": "HTTP service",
    "service": "Service",
    "container": "Container",
    "check": "Check",
}
_VERBS = {"DEGRADED": "was degraded", "FAILED": "was failing"}


@dataclass(frozen=True, slots=True)
class Seen:
    """Readings of one resource for its charts; `of` is how many there were."""

    readings: Sequence[Reading]
    of: int


@dataclass(frozen=True, slots=True)
class Story:
    """Everything a page on an incident tells, each part oldest first."""

    incident: Incident
    at: datetime
    alerts: Sequence[Alert] = ()
    fixes: Sequence[Fix] = ()
    approvals: Sequence[Approval] = ()
    events: Sequence[Event] = ()
    changes: Sequence[Event] = ()
    logs: Sequence[LogLine] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict[str, Seen])
    rules: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def name(self, resource: str | None) -> str:
        return self.names.get(resource or "", (resource or "").rsplit("/", 1)[-1])

    @property
    def spared(self) -> tuple[str, ...]:
        """Of each model that got worse because of a root: that it is the root which is to be mended."""
        return spared(self.incident.roots, self.alerts)

    @property
    def begin(self) -> datetime:
        """The first sign of it."""
        return min((alert.pending_at for alert in self.alerts), default=self.incident.opened_at)

    @property
    def end(self) -> datetime:
        """When it was over, or now."""
        return self.incident.closed_at or self.at

    @property
    def unwell(self) -> float | None:
        """Seconds in which an alert of it was pending or firing; None while one is."""
        if not self.alerts or any(alert.status != "resolved" or alert.resolved_at is None for alert in self.alerts):
            return None
        return together((alert.pending_at, alert.resolved_at or self.at) for alert in self.alerts)

    @property
    def seeing(self) -> float | None:
        """Seconds from the first sign until the first alert fired."""
        fired = [alert.firing_at for alert in self.alerts if alert.firing_at is not None]
        return max(0.0, (min(fired) - self.begin).total_seconds()) if fired else None

    @property
    def deciding(self) -> float | None:
        """Seconds from its opening until the first plan was begun, waiting for a person included."""
        began = [fix.started_at for fix in self.fixes]
        return max(0.0, (min(began) - self.incident.opened_at).total_seconds()) if began else None

    @property
    def repairing(self) -> float | None:
        """Seconds from its opening until it was proven healed, without those in which it was well in between."""
        return lasting(self.incident) if self.incident.outcome == "healed" else None

    @property
    def cure(self) -> Fix | None:
        """The fix that was proven to have healed it; the last, where several healed a part."""
        return next((f for f in reversed(self.fixes) if f.verdict and f.verdict.outcome == "healed"), None)


def subject(story: Story) -> str:
    """What it happened to: `Redis cache`; and how many more."""
    root = story.incident.root
    kind = root.split("/")[2] if root.count("/") >= 3 else ""
    others = len(story.incident.roots) - 1
    more = f" and {others} more" if others else ""
    return f"{KINDS.get(kind, kind)} {story.name(root)}{more}".strip()


def headline(story: Story) -> str:
    """What happened to what, for how long, and how it ended, in one sentence."""
    own = [alert for alert in story.alerts if alert.resource in story.incident.roots] or list(story.alerts)
    worst = max((alert.health for alert in own), key=lambda health: health.rank, default=Health.UNKNOWN)
    verb = _VERBS.get(worst.value, "was unwell")
    if story.unwell is not None:
        begun = f"{verb} for {spoken(story.unwell)}{' in all' if story.incident.reopened else ''}"
    elif story.incident.status == "closed":
        begun = verb
    else:
        begun = verb.replace("was", "is", 1)
    return f"{subject(story)} {begun}{_ended(story)}."


def _ended(story: Story) -> str:
    incident, cure = story.incident, story.cure
    if incident.outcome == "healed" and cure is not None:
        return f"; fixed{_by(story, cure)} by “{deed(cure)}”, and proven well"
    if incident.outcome == "merged":
        return f"; it was part of {incident.merged_into}"
    if any(fix.verdict is not None and fix.verdict.recovered for fix in story.fixes):
        return "; it is well again, though what was done about it failed"
    said = {
        "healed": "; it was fixed and is proven well",
        "recovered": "; it recovered, not by Watchkeeper",
        "gone": "; it was removed",
        "by_human": "; a person ended it",
    }
    if incident.outcome is not None:
        return said[incident.outcome]
    if incident.status == "escalated":
        return "; it was handed to a person and is not over"
    return "; a plan waits for approval" if incident.status == "awaiting_approval" else "; it is being worked on"


def _by(story: Story, cure: Fix) -> str:
    """At whose word; `automatically` only where no person had a word in anything that was changed."""
    others = [fix for fix in reversed(story.fixes) if changed(fix) and fix is not cure]
    for fix in (cure, *others):
        if fix.approved_by:
            return f" with the approval of {fix.approved_by.removeprefix('person:')}"
        if fix.principal.kind != "loop":
            return f" at the word of {fix.principal.name}"
    return " automatically"


def deed(fix: Fix) -> str:
    """What was done, out of the names of its tools: `set maxmemory`.

    Steps that only look are left out.
    """
    doing = [step for step in fix.plan.steps if step.effect is not Effect.READ] or fix.plan.steps
    return ", ".join(dict.fromkeys(action(step.tool, step.resource) for step in doing))


def action(tool: str, resource: str) -> str:
    """
    >>> action("redis_set_maxmemory", "local/lab/redis/cache")
    'set maxmemory'
    """
    kind = resource.split("/")[2] if resource.count("/") >= 3 else ""
    return (tool.removeprefix(f"{kind}_") or tool).replace("_", " ")


def lost(story: Story) -> str:
    """What the actions cost, out of the effect that was computed for each of them; empty where there were none."""
    acted = [fix for fix in story.fixes if changed(fix)]
    if not acted:
        return "Watchkeeper changed nothing." if story.incident.status in ("closed", "escalated") else ""
    effects = {
        fix.plan.steps[record.index].effect
        for fix in acted
        for record in fix.steps
        if record.index < len(fix.plan.steps) and record.status in ("done", "failed", "unknown", "acting")
    }
    if Effect.DESTRUCTIVE in effects:
        return "One of the actions deletes data: see the steps below."
    if Effect.DISRUPTIVE in effects:
        return "No action deleted data; one of them interrupted the service briefly."
    return "No action deleted data or interrupted the service."


def impact(story: Story) -> list[str]:
    """Why it mattered, in the words of the rules that fired, and who else felt it."""
    said = list(dict.fromkeys(alert.why for alert in story.alerts if alert.resource in story.incident.roots))
    others = sorted({a.resource for a in story.alerts if a.resource not in story.incident.roots and a.firing_at})
    if others:
        said.append(f"It was felt by {', '.join(story.name(key) for key in others)} too.")
    if story.incident.reopened:
        said.append(f"It came back {story.incident.reopened}×.")
    return said


def shift(before: object, after: object) -> str:
    """A recorded state before and after an action, where both are plain; sizes as sizes.

    >>> shift(67108864, 268435456), shift({"a": 1}, 2)
    ('67,108,864 (64 MiB) → 268,435,456 (256 MiB)', '')
    """
    if isinstance(before, bool) or isinstance(after, bool):
        return f"{before} → {after}" if isinstance(before, bool) and isinstance(after, bool) else ""
    if not isinstance(before, int | float | str) or not isinstance(after, int | float | str):
        return ""
    return f"{_value(before)} → {_value(after)}"


def _value(value: float | str) -> str:
    if isinstance(value, int | float) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{value:,.0f} ({figure(value, 'bytes')})"
    return f"{value:,}" if isinstance(value, int) else str(value)


def proof(fix: Fix) -> list[tuple[str, str, str]]:
    """Before and after of what the proof looks at: name, before, after."""
    verdict = fix.verdict
    if verdict is None or verdict.before is None or not verdict.after or fix.plan.healed is None:
        return []
    before, after = verdict.before.metrics, verdict.after[-1].metrics
    named = [name for name in after if f"reading.{name}" in fix.plan.healed]
    return [
        (name, figure(before[name], unit(name)) if name in before else "not known", figure(after[name], unit(name)))
        for name in named
    ]


def needs(story: Story) -> str:
    """What a person has to do now; empty where nothing."""
    incident = story.incident
    waiting = next((a for a in story.approvals if a.id == incident.approval and a.status == "waiting"), None)
    if waiting is not None:
        return f"A plan waits for you: watchkeeper approve {waiting.id}, or watchkeeper reject {waiting.id}."
    if incident.status == "escalated":
        return f"It needs a person: {incident.reason}" + (f" Next: {incident.to_do}" if incident.to_do else "")
    if any(undone(fix) for fix in story.fixes) and incident.outcome != "healed":
        return "Something was tried and taken back; it is worth a look."
    return ""
