"""What an incident that was handed to a person rests on: where that is changed, it is looked at again, once for each
change, and it is said why. What failed or was refused is not tried anew by that."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from watchkeeper.domain import Incident, now
from watchkeeper.domain.change import Difference, Fingerprint
from watchkeeper.incidents import Desk
from watchkeeper.store import Store
from watchkeeper.watch import Watch
from watchkeeper.watch.correlation import place
from watchkeeper.watch.resting import OF, SAID, rests_on

SETTLES = 5.0
"""Seconds until every look rests on what was changed: some of it is read seldom."""
_NAMED = 3


async def looked_at_again(incident: Incident, store: Store, watch: Watch, desk: Desk) -> Incident | None:
    """The incident as it is taken up, where something it rests on was changed since it was handed to a person; None
    where nothing was, or it is a person's."""
    if incident.status != "escalated" or incident.left is not None:
        return None
    present = await rests_on(incident.root, store, watch)
    if incident.rests is None or not present:
        return None
    known = {_of(name) for name in present} & {_of(name) for name in incident.rests}
    rests = {name: value for name, value in incident.rests.items() if _of(name) in known}  # its root may be another now
    present = {name: value for name, value in present.items() if _of(name) in known}
    changed = [name for name in sorted({*present, *rests}) if _changed(name, rests, present)]
    if not changed:
        return None
    if await _fresh({_of(name) for name in changed}, store):
        desk.wake_later(incident.id, SETTLES)
        return None
    told = [Difference(_setting(n), rests.get(n, ""), present.get(n, "")).text for n in changed]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    text = f"{', '.join(told[:_NAMED])}{more} since it was handed to a person: it is looked at again"
    return await desk.change(
        incident.id,
        lambda i: replace(i.look_again(new=False, graver=False), rests=None, reason=text),
        "incident.again",
        text,
    )


def _of(name: str) -> str:
    """The resource that a setting is one of."""
    return name.partition(OF)[0]


def _setting(name: str) -> str:
    return name.partition(OF)[2].removeprefix(SAID)


def _changed(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Of what a look tells, what only one of the two could read is no change."""
    if f"{OF}{SAID}" in name:
        return before.get(name, "") != after.get(name, "")
    return name in before and name in after and before[name] != after[name]


async def _fresh(resources: Iterable[str], store: Store) -> bool:
    """Whether a change of one of these was noticed so lately that a look may not rest on it yet."""
    known = [await store.find(Fingerprint, key) for key in resources]
    return any(one is not None and (now() - one.at).total_seconds() < SETTLES for one in known)


def remembering(
    heal: Callable[[Incident], Awaitable[Incident]], store: Store, watch: Watch, desk: Desk
) -> Callable[[Incident], Awaitable[Incident]]:
    """`heal`, after which it is written down what an incident rests on that was handed to a person."""

    async def healing(incident: Incident) -> Incident:
        after = await heal(incident)
        anew = incident.status != "escalated"  # a person's no, too, hands it over: what changed before is no news
        if after.status == "escalated" and (anew or after.rests is None):
            present = await rests_on(after.root, store, watch)
            async with desk.writing, store.transaction() as transaction:  # another executor may write it, too
                current = await store.get(Incident, after.id)
                if current.status == "escalated":
                    after = replace(current, rests=present)
                    await transaction.put(after)
        return after

    return healing


def waking(store: Store, watch: Watch, desk: Desk) -> Callable[[str], Awaitable[None]]:
    """Calls for the incidents that may rest on a resource of which a change was noticed."""

    async def noticed(resource: str) -> None:
        for incident in await store.select(Incident, status="escalated"):
            known = watch.fleet.resources
            if incident.root in known and resource in place(incident.root, known):
                desk.wake_later(incident.id, SETTLES)

    return noticed
