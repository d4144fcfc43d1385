"""Nobody is overruled in silence: where somebody has just lowered a limit, and what it limits has not grown, that is
the cause. A person is asked then, whatever the mode, and what it was before is proposed."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from watchkeeper.decide import Decide
from watchkeeper.domain import Incident, Plan, now
from watchkeeper.domain.change import Difference
from watchkeeper.domain.situation import Situation
from watchkeeper.domain.spoken import spoken
from watchkeeper.domain.tool import Limit
from watchkeeper.store import Store
from watchkeeper.watch import Watch

JUST = timedelta(minutes=10)
"""Who lowered it longer ago has seen what came of it, or was told."""
GROWN = 1.1
"""What has grown by more than a tenth since then would have come to its former limit, too, or may have."""
AS_IT_WAS = "as-it-was"
"""In place of a rung's number."""
CHANGES = ("change.config", "change.limits")


@dataclass(frozen=True, slots=True)
class Lowered:
    """That somebody else has lowered a limit, and when it was last seen as it was before."""

    limit: Limit
    difference: Difference
    at: datetime


async def respecting(plan: Plan, incident: Incident, at: Situation, store: Store, watch: Watch, decide: Decide) -> Plan:
    """The plan as the loop may have it: a person is asked where one took back what was done about the same, or has just
    lowered what it would raise. Of a ladder that has such a step no other is done unasked, either."""
    plan = await decide.respecting(plan)
    limits = {tool.limit for tool in decide.tools_of(plan) if tool.limit is not None}
    for limit in sorted(limits, key=lambda one: one.setting):
        lowered = await _lowered(plan.resources[0], limit, at, store, watch)
        if lowered is not None:
            return _asking(plan, lowered, incident, at, decide)
    return plan


async def _lowered(root: str, limit: Limit, at: Situation, store: Store, watch: Watch) -> Lowered | None:
    watcher, reading = watch.watchers.get(root), at.readings.get(root)
    if watcher is None or reading is None:
        return None
    told = [(one, (one.configuration or {}).get(limit.setting)) for one in reversed(watcher.ring)]
    known = [(one, value) for one, value in told if value is not None]
    present = known[0][1] if known else ""
    former, value = next(((one, value) for one, value in known if value != present), (None, ""))
    if former is None or now() - former.at > JUST:
        return None
    load, before = reading.metrics.get(limit.metric), former.metrics.get(limit.metric)
    if load is None or before is None or load > GROWN * before:
        return None
    difference = Difference(limit.setting, value, present)
    if not _lower(difference) or not await _by_others(root, difference, former.at, store):
        return None
    return Lowered(limit, difference, former.at)


async def _by_others(root: str, difference: Difference, since: datetime, store: Store) -> bool:
    """Whether the last change of it is told, and no fix of ours made it."""
    events = await store.happened(CHANGES, since=since, resources=(root,))
    for event in reversed(events):
        changes = cast("list[dict[str, str]]", event.data.get("changes") or [])
        if any(change["setting"] == difference.setting for change in changes):
            return not event.data.get("fix")
    return False


def _lower(difference: Difference) -> bool:
    """Whether the limit is tighter now; 0 is none."""
    try:
        before, after = float(difference.before), float(difference.after)
    except ValueError:
        return False
    return 0 < after < (before or float("inf"))


def _asking(plan: Plan, lowered: Lowered, incident: Incident, at: Situation, decide: Decide) -> Plan:
    """What it was before, as long as nobody has refused that and it was not tried; then the ladder, asked for."""
    limit, root = lowered.limit, plan.resources[0]
    ago = spoken(max(0.0, (now() - lowered.at).total_seconds()))
    said = f"{lowered.difference.text} within the last {ago}, not by Watchkeeper; {limit.metric} has hardly grown since"
    cause = f"Somebody has lowered a limit below what is used: {said}."
    if plan.diagnosis is not None:
        passed = (*plan.diagnosis.ruled_out, f"not so: {plan.diagnosis.cause}")
        plan = replace(plan, diagnosis=replace(plan.diagnosis, cause=cause, ruled_out=passed))
    confirm = f"{at.resources[root].slug}: {said}. Whoever lowered it may have meant it."
    plan = replace(plan, confirm=confirm)
    back = replace(plan, author=f"{plan.author.partition('#')[0]}#{AS_IT_WAS}")
    if back.key in (*incident.tried, *incident.refused) or not float(lowered.difference.before):
        return plan
    given = {limit.argument: int(float(lowered.difference.before))}
    name = next(tool.name for tool in decide.tools_of(plan) if tool.limit == limit)
    step = decide.step(name, root, given, at, "As it was until somebody lowered it.")
    return replace(back, steps=(step,)) if step else plan
