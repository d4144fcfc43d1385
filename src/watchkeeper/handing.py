"""What a person has already, they are told of once: what joins it is one update, and they are called again only where
it became graver, came back, or something was done about it in vain."""

from collections.abc import Sequence
from dataclasses import replace

from watchkeeper.domain import LOOP, Alert, Event, Incident, Verdict, now


def taking_up(
    incident: Incident, alert: Alert, told: Event, known: Sequence[Alert], name: str
) -> tuple[Incident, list[Event]]:
    """The incident once an alert fires that belongs to it, and what tells of that, `told` of the alert among it.
    `known`: the alerts it has; `name`: the slug of the alert's resource.

    What was over, or is with a person, is looked at again, for what was not tried yet may help now.
    """
    told = replace(told, incident=incident.id)
    text = f"{alert.rule} fires on {name}"
    if incident.status == "closed":
        return incident.reopen(), [_event("incident.reopened", incident, text), told]
    if not incident.handed:
        return incident, [told]
    new = all((one.rule, one.resource) != (alert.rule, alert.resource) for one in known)
    graver = incident.left is None and all(one.grave < alert.grave for one in known)
    incident = incident.look_again(new=new, graver=graver)
    if graver:
        return incident, [told]  # they are called
    told = replace(told, data={"quiet": True})
    has = f"{incident.left.told} has it" if incident.left else "it is with a person already"
    text = f"{text}, too ({alert.severity}), and {has}: {alert.why}"
    return incident, [_event("incident.joined", incident, text), told] if new else [told]


def handing(incident: Incident, reason: str, by: str = LOOP.id) -> tuple[Incident, Event]:
    """The incident with a person, and what tells of it."""
    escalated = incident.escalate(reason)
    return escalated, _event("incident.escalated", escalated, reason, by, quiet=incident.handed)


def told_of(verdict: Verdict) -> str:
    """The kind of the event that tells an incident's history of a verdict."""
    if verdict.outcome == "inconclusive":
        return "plan.failed" if verdict.hindered else "incident.escalated"
    return {"healed": "incident.closed", "not_tried": "plan.refused"}.get(verdict.outcome, "plan.failed")


def _event(kind: str, incident: Incident, text: str, by: str = LOOP.id, *, quiet: bool = False) -> Event:
    data: dict[str, object] = {"quiet": True} if quiet else {}
    return Event(kind, incident.id, text, now(), by=by, incident=incident.id, resource=incident.root, data=data)
