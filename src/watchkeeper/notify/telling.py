"""Which events people are told of, and the message that an event becomes."""

from collections.abc import Sequence

from watchkeeper.domain import Alert, Approval, Event, Incident, Severity
from watchkeeper.domain.notification import Message
from watchkeeper.domain.rule import SEVERITIES
from watchkeeper.notify.silences import ENDED, Silences, counted
from watchkeeper.settings.notify import Group
from watchkeeper.store import Store

GROUPS: dict[str, Group] = {
    "incident.opened": "incidents",
    "incident.reopened": "incidents",
    "incident.acknowledged": "incidents",
    "incident.escalated": "incidents",
    "incident.joined": "incidents",
    "incident.cooldown": "incidents",
    "incident.maintenance": "incidents",
    "incident.closed": "incidents",
    "incident.merged": "incidents",
    "incident.flapping": "incidents",
    "incident.steady": "incidents",
    "approval.requested": "approvals",
    "approval.expired": "approvals",
    "fix.would": "fixes",
    "fix.inconclusive": "fixes",
    "fix.not_healed": "fixes",
    "fix.not_tried": "fixes",
    "connector.quarantined": "system",
    "connector.released": "system",
    "breaker.opened": "system",
    "watch.blind": "system",
    "watch.sees": "system",
    "source.silent": "system",
    "source.tells": "system",
    "silence.ended": "system",
    "channel.silent": "system",
    "channel.answers": "system",
    "notification.dead": "system",
    # What is told only where a channel can put it beside what it has told of the incident:
    "alert.firing": "incidents",
    "incident.diagnosed": "incidents",
    "incident.held": "incidents",
    "incident.goes_on": "incidents",
    "fix.started": "incidents",
    "plan.failed": "incidents",
    "plan.refused": "incidents",
    "approval.approved": "approvals",
    "approval.rejected": "approvals",
    "approval.void": "approvals",
}
PROGRESS = frozenset(list(GROUPS)[list(GROUPS).index("alert.firing") :])
TOLD = frozenset(GROUPS) - PROGRESS
"""What every channel is told of."""
ALONE = frozenset({"fix.inconclusive", "fix.not_healed", "fix.not_tried"})
"""Told only of a fix without an incident: with one, the incident says so."""
ABOUT_CHANNELS = frozenset({"channel.silent", "channel.answers", "notification.dead"})
"""What one channel is told of the others."""
OVER = frozenset({"incident.closed", "incident.merged", "incident.steady"})
SERIOUS: dict[str, Severity] = {
    "connector.quarantined": "warning",
    "breaker.opened": "warning",
    "watch.blind": "warning",
    "source.silent": "warning",
    "channel.silent": "warning",
    "notification.dead": "warning",
    "fix.inconclusive": "warning",
    "fix.not_healed": "warning",
    "fix.not_tried": "warning",
}
"""How grave an event is that belongs to no incident; others are only information."""


def wanted(event: Event) -> bool:
    """Whether anybody is told of it."""
    if event.quiet:
        return False
    return event.kind in GROUPS and (event.kind not in ALONE or event.incident is None)


def worst(alerts: Sequence[Alert]) -> Severity:
    """How grave an incident is: as its worst alert. One without an alert that is known is taken to be critical."""
    found: list[Severity] = [alert.severity for alert in alerts] or ["critical"]
    return max(found, key=SEVERITIES.index)


class Composer:
    """Makes messages. `address`: where whoever reads one reaches the API."""

    def __init__(self, store: Store, silences: Silences, address: str) -> None:
        self._store = store
        self._silences = silences
        self._address = address.rstrip("/")

    async def message(self, event: Event, text: str = "") -> Message:
        """The message of an event, with its incident as it is now."""
        incident = await self._store.find(Incident, event.incident) if event.incident else None
        alerts = await self._store.select(Alert, incident=event.incident) if event.incident else []
        asked = event.subject if event.kind.startswith("approval.") else incident.approval if incident else None
        approval = await self._store.find(Approval, asked) if asked else None
        resource = event.resource or (incident.root if incident else None)
        known = await self._store.resource(resource) if resource else None
        if event.kind == ENDED:
            text = f"{event.text}: {counted(await self._silences.kept_back(event.subject))}"
        return Message(
            id=event.seq,
            kind=event.kind,
            text=text or event.text,
            at=event.at,
            by=event.by,
            subject=event.subject,
            severity=worst(alerts) if event.incident else SERIOUS.get(event.kind, "info"),
            environment=resource.split("/")[1] if resource and resource.count("/") >= 3 else "",
            resource=event.resource,
            slug=known.slug if known else resource or "",
            incident_id=event.incident,
            incident=incident,
            rules=tuple(dict.fromkeys(alert.rule for alert in alerts)),
            approval=approval,
            following=_following(event, incident),
            data=event.data,
            links=self._links(event, approval),
        )

    def _links(self, event: Event, approval: Approval | None) -> dict[str, str]:
        links = dict[str, str]()
        if approval is not None and approval.status == "waiting":
            links["decide"] = f"{self._address}/api/approvals/{approval.id}/decide"
        if event.incident:
            links["report"] = f"{self._address}/api/incidents/{event.incident}/report?format=html"
            links["incident"] = f"{self._address}/api/incidents/{event.incident}"
        if event.kind in ALONE:
            links["fix"] = f"{self._address}/api/fixes/{event.subject}"
        return links


def _following(event: Event, incident: Incident | None) -> str:
    if event.kind == "incident.escalated" and incident is not None and incident.status == "escalated":
        return " ".join(filter(None, (incident.to_do, f"`watchkeeper show {incident.id}` tells all of it")))
    if event.kind == "approval.requested":
        return f"decide with `watchkeeper approve {event.subject}` or `watchkeeper reject {event.subject}`"
    if event.kind in ("incident.cooldown", "incident.maintenance") and event.incident:
        return f"`watchkeeper fix {event.resource or event.incident}` does at once what it would do"
    if event.kind == "fix.not_tried":
        return "ask for it again, or for something else"
    if event.kind in ALONE:
        return "nobody else looks after it: see whether it is as it should be"
    if event.kind in ("channel.silent", "notification.dead"):
        return "`watchkeeper notify` tells more"
    return ""
