"""Nobody is overruled in silence: where somebody has just tightened a limit, and what it limits has not grown, that is
the cause. A person is asked then, whatever the mode, and what it was before is proposed. It rests on the changes that
are told, and so holds over a restart of ours, too."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from watchkeeper.decide import Decide
from watchkeeper.domain import Approval, Incident, Plan, now
from watchkeeper.domain.change import Difference
from watchkeeper.domain.situation import Situation
from watchkeeper.domain.size import readable
from watchkeeper.domain.spoken import spoken
from watchkeeper.domain.tool import Limit
from watchkeeper.store import Store
from watchkeeper.watch import Watch
from watchkeeper.watch.changes import RESTART
from watchkeeper.watch.reverted import SETTINGS, restarted, set_by

JUST = timedelta(minutes=10)
"""Who tightened it longer ago has seen what came of it, or was told."""
GROWN = 1.1
"""What has grown by more than a tenth since then would have come to its former limit, too, or may have."""
GROWS = 4
"""So many times what a limit was do fixes raise it unasked, those of a day together; one alone goes no further."""
GROWN_WITHIN = timedelta(days=1)
KEPT = timedelta(minutes=3)
"""How far back it is looked how much was used; in the store, one look a minute is kept of what is well."""
NOTICED = timedelta(seconds=17)
"""A change may be so old when it is noticed: servers are asked for their configuration every 15 seconds."""
AS_IT_WAS = "as-it-was"
"""In place of a rung's number."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """That somebody else has tightened a limit, and when that was told."""

    limit: Limit
    difference: Difference
    at: datetime
    fix: str = ""
    """The fix of ours that had set what a restart took back: then nobody did it, and nobody is asked because of it."""


async def respecting(plan: Plan, incident: Incident, at: Situation, store: Store, watch: Watch, decide: Decide) -> Plan:
    """The plan as the loop may have it: a person is asked where one took back what was done about the same, or has just
    lowered what it would raise. Of a ladder that has such a step no other is done unasked, either."""
    plan = await decide.respecting(plan)
    if plan.author.endswith(f"#{AS_IT_WAS}"):
        return plan
    limits = {limit for tool in decide.tools_of(plan) for limit in tool.limits}
    for limit in sorted(limits, key=lambda one: one.setting):
        lowered = await _lowered(plan.resources[0], limit, at, store, watch)
        if lowered is not None:
            return _asking(plan, plan.resources[0], lowered, incident, at, decide)
    grown = await _grown(plan, store, decide)
    return replace(plan, confirm=f"{plan.confirm} {grown}".strip()) if grown else plan


async def _grown(plan: Plan, store: Store, decide: Decide) -> str:
    """That a limit would be far above what it was before fixes of ours began to raise it, in a sentence; or nothing."""
    for step in plan.steps:
        for limit in decide.tools[step.tool].limits:
            value = _number(str(step.arguments.get(limit.argument, "")))
            base, since = await _before_ours(step.resource, limit, store)
            if since is not None and value > GROWS * base:
                ago = spoken(max(0.0, (now() - since).total_seconds()))
                was = readable(base) if limit.metric.endswith("_bytes") else str(base)
                return (
                    f"{limit.setting} was {was} until {ago} before this was planned, and has been raised since; this "
                    f"would be {value / base:.3g} times that. Growth beyond {GROWS} times is for a person."
                )
    return ""


async def _before_ours(root: str, limit: Limit, store: Store) -> tuple[int, datetime | None]:
    """What a limit was before the fixes of a day that raised it one after the other, and since when it is not that any
    more: what others set meanwhile is where it begins."""
    base, since = 0, None
    for event in reversed(await store.happened(SETTINGS, since=now() - GROWN_WITHIN, resources=(root,))):
        changes = cast("list[dict[str, str]]", event.data.get("changes") or [])
        change = next((one for one in changes if one["setting"] == limit.setting), None)
        if change is None:
            continue
        if not event.data.get("fix") or not _number(change["before"]):
            break
        base, since = _number(change["before"]), event.at
    return base, since


async def put_back(
    root: str,
    incident: Incident,
    at: Situation,
    passed: tuple[str, ...],
    store: Store,
    watch: Watch,
    decide: Decide,
) -> Plan | None:
    """What it was before, where somebody has just lowered it and no rung can help; None where nobody has, or that was
    tried or refused here."""
    supposed = decide.supposed(root, at, passed)
    if supposed is None:
        return None
    plan = Plan(f"{supposed.author}#{AS_IT_WAS}", (), now(), supposed)
    for limit in (limit for tool in decide.tools_of(plan) for limit in tool.limits):
        lowered = await _lowered(root, limit, at, store, watch)
        if lowered is not None and (asked := _asking(plan, root, lowered, incident, at, decide)).steps:
            return asked
    return None


async def heeding(plan: Plan, incident: Incident, store: Store) -> tuple[Plan, str]:
    """The plan, and why it is not to be asked for: a person has rejected the very same here, whoever wrote that. Where
    the arguments are others, it says so."""
    for approval in await store.select(Approval, incident=incident.id, status="rejected"):
        if approval.plan.key not in incident.refused or approval.plan.key == plan.key:
            continue
        if _calls(approval.plan) == _calls(plan):
            return plan, f"{approval.decided_by} has rejected the same ({approval.plan.author})"
        if [call[:2] for call in _calls(approval.plan)] == [call[:2] for call in _calls(plan)]:
            former = "; ".join(", ".join(f"{k}={v}" for k, v in s.arguments.items()) for s in approval.plan.steps)
            said = f"Not what {approval.decided_by} has rejected: that was with {former}."
            return replace(plan, confirm=f"{plan.confirm} {said}".strip()), ""
    return plan, ""


def _calls(plan: Plan) -> list[tuple[str, str, Mapping[str, object]]]:
    return [(step.tool, step.resource, dict(step.arguments)) for step in plan.steps]


async def _lowered(root: str, limit: Limit, at: Situation, store: Store, watch: Watch) -> Lowered | None:
    told = await _by_others(root, limit, store)
    if told is None:
        return None
    reading = at.readings.get(root)
    load = reading.metrics.get(limit.metric) if reading is not None and limit.metric else None
    before = await _load(root, limit, told.at, store, watch)
    return None if load is not None and before is not None and load > GROWN * before else told


async def _by_others(root: str, limit: Limit, store: Store) -> Lowered | None:
    """The latest changes of it together, where others made them, and it is tighter since. A restart is nobody: what it
    ended counts where a fix of ours had set it."""
    found: Lowered | None = None
    events = await store.happened(SETTINGS, since=now() - JUST, resources=(root,))
    for event in reversed(events):
        changes = cast("list[dict[str, str]]", event.data.get("changes") or [])
        change = next((one for one in changes if one["setting"] == limit.setting), None)
        if change is None:
            continue
        if event.data.get("fix"):
            break
        after = found.difference.after if found is not None else change["after"]
        difference = Difference(limit.setting, change["before"], after)
        if event.by == RESTART and found is not None:
            break  # it ended what was set before; what was lowered since is another matter
        if not limit.tightened(difference.before, difference.after):
            break
        found = Lowered(limit, difference, event.at)
        if event.by == RESTART:
            fix = await _taken_back(root, found, store)
            return replace(found, fix=fix) if fix else None
    return replace(found, fix=await _taken_back(root, found, store)) if found is not None else None


async def _taken_back(root: str, lowered: Lowered, store: Store) -> str:
    """The fix whose setting ended with a restart, for what a fix sets is in no file; empty where it was not that."""
    carrier = getattr(await store.resource(root), "runs_on", None)
    if not await restarted(store, tuple(filter(None, (root, carrier))), lowered.at):
        return ""
    return await set_by(store, root, lowered.limit.setting, lowered.difference.before, lowered.at)


async def _load(root: str, limit: Limit, at: datetime, store: Store, watch: Watch) -> float | None:
    """The most that was used of it in the minutes before it can have been tightened, as looked at here or before a
    start of ours: with some settings the server is started anew, and everybody has to come back first. Where nothing is
    known of before that, the least since."""
    watcher = watch.watchers.get(root)
    seen = [one for one in watcher.ring if at - KEPT <= one.at <= at] if watcher is not None else []
    looks = seen or await store.readings(root, since=at - KEPT, until=at)
    known = [(one.at, one.metrics[limit.metric]) for one in looks if limit.metric in one.metrics]
    before = [used for when, used in known if when <= at - NOTICED]
    return max(before) if before else min((used for _, used in known), default=None)


def _asking(plan: Plan, root: str, lowered: Lowered, incident: Incident, at: Situation, decide: Decide) -> Plan:
    """What it was before, as long as nobody has refused that and it was not tried; then the ladder, asked for."""
    limit = lowered.limit
    ago = spoken(max(0.0, (now() - lowered.at).total_seconds()))
    grown = f"; {limit.metric} has hardly grown since" if limit.metric else ""
    said = f"{lowered.difference.text} {ago} before this was planned, not by Watchkeeper{grown}"
    cause = f"Somebody has lowered a limit below what is used: {said}."
    if not limit.metric:
        cause = f"Somebody has tightened what it may do: {said}."
    if lowered.fix:
        cause = f"Its restart took back what {lowered.fix} had set, which stands in no file: {lowered.difference.text}."
    if plan.diagnosis is not None:
        passed = (*plan.diagnosis.ruled_out, f"not so: {plan.diagnosis.cause}")
        plan = replace(plan, diagnosis=replace(plan.diagnosis, cause=cause, ruled_out=passed))
    confirm = f"{at.resources[root].slug}: {said}. Whoever did it may have meant it."
    plan = plan if lowered.fix else replace(plan, confirm=confirm)
    back = replace(plan, author=f"{plan.author.partition('#')[0]}#{AS_IT_WAS}")
    name = limit.by or next(tool.name for tool in decide.tools_of(plan) if limit in tool.limits)
    value = _number(lowered.difference.before)
    if f"{back.author}@{root}" in (*incident.tried, *incident.refused) or not value or name not in decide.tools:
        return plan
    why = "As it was until its restart." if lowered.fix else "As it was until somebody lowered it."
    step = decide.step(name, root, {limit.argument: value}, at, why)
    if step is None:
        return plan
    told = replace(back.diagnosis, author=back.author) if back.diagnosis else None
    return replace(back, steps=(step,), diagnosis=told)


def _number(text: str) -> int:
    """0 where it is none."""
    try:
        return int(float(text))
    except ValueError:
        return 0
