"""What a person has already, they are told of once: what joins it is one update, and they are called again only where
it became graver, came back, or something was done about it in vain."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from watchkeeper.domain import Alert, Diagnosis, Event, Fix, Incident, Step, Verdict, now
from watchkeeper.watch.stopped import AUTHOR as STOPPED
from watchkeeper.watch.stopped import TO_DO


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
        return incident.reopen(told.at), [_event("incident.reopened", incident, text), told]
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


def handing(
    incident: Incident, reason: str, *, firing: Sequence[Alert] = (), to_do: str = ""
) -> tuple[Incident, Event]:
    """The incident with a person, and what tells of it in one line: what is wrong, why nothing more is done by itself.
    What to do next goes with it. `firing`: its alerts that fire."""
    escalated = incident.escalate(reason, to_do)
    text = f"{worst.rule}: {sentence(worst.why)} {reason}" if (worst := worst_of(incident, firing)) else reason
    if incident.handed:
        known = "; nothing else is known" if incident.reason == reason else f". {reason}"
        text = f"looked at again: it stays with a person{known}"
    return escalated, _event("incident.escalated", escalated, text, quiet=incident.handed)


def worst_of(incident: Incident, firing: Sequence[Alert]) -> Alert | None:
    """The one to speak of: on the root before others, the worst first."""
    return max(firing, key=lambda one: (one.resource == incident.root, one.gravity), default=None)


def nothing_left(passed: Sequence[str], known: Diagnosis | None, fixes: Sequence[Fix]) -> str:
    """Why nothing more is done: what was tried and what came of it, what cannot be done here, and why."""
    tried = [f"{', '.join(step.said for step in fix.plan.steps)} ({_ended(fix)})" for fix in fixes]
    others = [said.rstrip(".") for said in passed if not said.endswith(": tried here before")]
    if known is not None:
        others = [said for said in others if known.author.rpartition(" ")[2] not in said]
    if known is not None and not known.author.startswith("llm:"):
        why = f"{sentence(known.cause)} That is left to a person."
    else:
        why = sentence(known.cause) if known else "" if tried or others else "No runbook knows what to do about it."
    parts = [
        why,
        f"Tried: {'; '.join(tried)}." if tried else "",
        f"Not done: {'; '.join(together(others))}." if others else "",
    ]
    return " ".join(filter(None, parts))


def alike(one: Diagnosis, other: Diagnosis) -> bool:
    """Whether they say the same, by evidence of the same places; its figures are others at every look."""
    places = [[found.resource for found in each.evidence] for each in (one, other)]
    said = [(each.cause, each.root, each.author, each.others) for each in (one, other)]
    return places[0] == places[1] and said[0] == said[1]


def called(step: Step) -> str:
    """The call of a step, and on what.

    >>> called(Step("grow", "docker/lab/redis/cache", {"value": 5}))
    'grow(value=5) on cache'
    """
    given = ", ".join(f"{name}={value}" for name, value in step.arguments.items())
    return f"{step.tool}({given}) on {step.resource.rpartition('/')[2]}"


def together(passed: Sequence[str]) -> list[str]:
    """What has one reason in one sentence.

    >>> together(["purge: it is full", "grow: nothing permits it", "flush: nothing permits it"])
    ['purge: it is full', 'grow, flush: nothing permits it']
    """
    by_reason: dict[str, list[str]] = {}
    for said in passed:
        what, _, why = said.partition(": ")
        by_reason.setdefault(why, []).append(what)
    return [f"{', '.join(whats)}{f': {why}' if why else ''}" for why, whats in by_reason.items()]


def what_to_do(
    incident: Incident, firing: Sequence[Alert], recommended: Callable[[str], str], known: Diagnosis | None = None
) -> str:
    """What a person should do next, where nothing more is done by itself: as the runbook of the cause says, or else
    what is recommended about the worst alert."""
    if known is not None and known.author.startswith("runbooks show "):
        return f"`watchkeeper {known.author}` tells how to mend it."
    if known is not None and known.author == STOPPED:
        return TO_DO
    worst = worst_of(incident, firing)
    return sentence(recommended(worst.rule)) if worst else ""


def sentence(text: str) -> str:
    """With one full stop at its end."""
    text = text.rstrip().rstrip(".")
    return f"{text}." if text and text[-1] not in "!?…" else text


def _ended(fix: Fix) -> str:
    return fix.broke_off if fix.broke_off and not fix.untouched else fix.said


def told_of(verdict: Verdict) -> str:
    """The kind of the event that tells an incident's history of a verdict."""
    if verdict.recovered:
        return "incident.closed"
    if verdict.outcome == "inconclusive":
        return "plan.failed" if verdict.hindered else "incident.escalated"
    return {"healed": "incident.closed", "not_tried": "plan.refused"}.get(verdict.outcome, "plan.failed")


def _event(kind: str, incident: Incident, text: str, *, quiet: bool = False) -> Event:
    data: dict[str, object] = {"quiet": True} if quiet else {}
    return Event(kind, incident.id, text, now(), incident=incident.id, resource=incident.root, data=data)
