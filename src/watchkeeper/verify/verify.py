"""Judged from readings and probe alone: the same for a fix, a recovery, and a rollout's stage later."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper.domain import Condition, Health, Probe, Reading, Verdict
from watchkeeper.domain.figures import figure, unit, words
from watchkeeper.domain.situation import Situation

GOOD_LOOKS = 3
"""Consecutive good looks that make a proof, besides the probe."""
PATIENCE = 20.0
"""Seconds that what needs the root may take to be served again once the rest of the proof is there. PgBouncer tries
every 15 s to log in (server_login_retry, pgbouncer.org, "Configuration")."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: these resources, with the root's healed condition and its state before."""

    root: str
    resources: tuple[str, ...]
    healed: Condition | None = None
    before: Reading | None = None
    neighbours: Mapping[str, str] = field(default_factory=dict[str, str])
    """Health before, by resource: nothing may be worse after."""
    ignored: frozenset[str] = frozenset[str]()
    """Ids of alerts that fired before and are another matter (a standing warning)."""
    about: frozenset[str] = frozenset[str]()
    """Rules of what it is about: one of them that is pending may be the fault coming back. A warning of another rule
    counts once it fires; until then it is none."""
    aside: frozenset[str] = frozenset[str]()
    """Ids of alerts that began before and that the plan was never for. They are given the time there is to end, as
    what comes of the same cause does; then they say nothing of the plan."""
    suffers: frozenset[str] = frozenset[str]()
    """What needs the root: what already went wrong there before `since` (seconds and more may pass until its own check
    passes again) says nothing against the fix."""
    since: datetime | None = None
    served: Mapping[str, str] = field(default_factory=dict[str, str])
    """What needs the root at first hand, and how people call it. Once the proof is there it gets up to `PATIENCE` to be
    served again (a pooler that was refused logs in anew after seconds); after that, what is not served yet is said."""


@dataclass(frozen=True, slots=True)
class _Look:
    good: bool
    blind: bool
    reasons: tuple[str, ...]


async def judge(subject: Subject, looks: AsyncIterator[Situation], probe: Callable[[str], Awaitable[Probe]]) -> Verdict:
    """Follow the looks until the proof is there or they end.

    `healed`: consecutive good looks in which no alert fires, the healed condition holds and no neighbour is worse,
    and then the probe of each resource passes, and that of what needs the root; at the end, the same of all that the
    plan was for, whoever is still not served. `inconclusive`: the last look told nothing. Else `not_healed`.
    """
    run: list[Reading] = []
    narrow: list[Reading] = []
    situation: Situation | None = None
    seen: list[Reading] = []
    last = _Look(False, True, ("nothing was looked at",))
    made: Probe | None = None
    unserved: tuple[str, ...] = ()
    clock, until = asyncio.get_running_loop().time, 0.0
    async for situation in looks:
        last = _assess(subject, situation)
        reading = situation.readings.get(subject.root)
        if reading is not None:
            seen = [*seen, reading][-10:]
        if subject.aside:
            own = _assess(_narrowed(subject, situation), situation)
            narrow = [*narrow, reading] if own.good and reading is not None else []
        if not last.good:
            run, unserved = [], ()
            continue
        run = [*run, reading] if reading is not None else []
        if len(run) < GOOD_LOOKS:
            continue
        made, failing = await _probe_all(subject, probe)
        if failing is None:
            until = until if unserved else clock() + PATIENCE
            unserved = await _unserved(subject, probe)
            if not unserved or clock() >= until:
                return _healed(subject, run[-GOOD_LOOKS:], made, unserved)
            continue
        run, unserved = [], ()
        last = _Look(False, failing.ok is None, (f"the probe of {failing.resource} fails: {failing.error}",))
    if unserved:
        return _healed(subject, run[-GOOD_LOOKS:], made, unserved)
    if situation is not None and len(narrow) >= GOOD_LOOKS:
        made, failing = await _probe_all(_narrowed(subject, situation), probe)
        if failing is None:
            return _healed(subject, narrow[-GOOD_LOOKS:], made, _standing(subject, situation))
        last = _Look(False, failing.ok is None, (f"the probe of {failing.resource} fails: {failing.error}",))
    outcome = "inconclusive" if last.blind else "not_healed"
    reasons = last.reasons or ("no proof within the time it may take",)
    return Verdict(outcome, reasons, subject.before, tuple(seen[-GOOD_LOOKS:]), made)


def _healed(subject: Subject, run: list[Reading], made: Probe | None, more: tuple[str, ...] = ()) -> Verdict:
    said = (f"{len(run)} good looks in a row", f"the probe passes ({made.what})" if made else "no probe")
    return Verdict("healed", (*said, *_told(subject, run[-1]), *more), subject.before, tuple(run), made)


def _narrowed(subject: Subject, situation: Situation) -> Subject:
    """Only what the plan was for: without what stands aside, and without the resources that have it."""
    elsewhere = {alert.resource for alert in situation.alerts if alert.id in subject.aside} - {subject.root}
    kept = tuple(key for key in subject.resources if key not in elsewhere)
    return replace(subject, ignored=subject.ignored | subject.aside, resources=kept)


def _standing(subject: Subject, situation: Situation) -> tuple[str, ...]:
    """What stands aside and is there still."""
    return tuple(
        f"{alert.rule} on {situation.resources[alert.resource].slug}, which it was not for, is {alert.status} still"
        for alert in situation.alerts
        if alert.id in subject.aside
    )


def _assess(subject: Subject, situation: Situation) -> _Look:
    bad: list[str] = []
    blind: list[str] = []
    for key in subject.resources:
        reading = situation.readings.get(key)
        if reading is None:
            blind.append(f"{key} is gone")
        elif not reading.ok and not _accounted(subject, key, situation):
            blind.append(f"no data from {situation.resources[key].slug}: {reading.error}")
    for alert in situation.alerts:
        if alert.severity == "info" or alert.id in subject.ignored:
            continue
        if alert.status == "pending" and alert.severity != "critical" and alert.rule not in subject.about:
            continue
        slug = situation.resources[alert.resource].slug
        if alert.resource in subject.resources:
            bad.append(f"{alert.rule} is {alert.status} on {slug}")
    root = situation.readings.get(subject.root)
    if subject.healed is not None and root is not None:
        holds = subject.healed.holds(root.scope())
        if holds is None:
            blind.append(f"nothing tells whether {subject.healed.source}")
        elif not holds:
            bad.append(f"{subject.healed.source} does not hold yet")
    for key, before in subject.neighbours.items():
        present = situation.health.get(key)
        if present is not None and present.rank > Health(before).rank and not _old(subject, key, situation):
            bad.append(f"{key} got worse: {before} → {present}")
    return _Look(not bad and not blind, bool(blind) and not bad, tuple(bad + blind))


def _accounted(subject: Subject, key: str, situation: Situation) -> bool:
    """Whether an alert tells already why there is no data. Of the root itself, one that counts."""
    alerts = situation.alerts_of(key)
    return any(alert.id not in subject.ignored for alert in alerts) if key == subject.root else bool(alerts)


def _old(subject: Subject, key: str, situation: Situation) -> bool:
    """Whether all that is wrong there began before the fix, and is the root's doing."""
    since = subject.since
    if since is None or key not in subject.suffers:
        return False
    return all(alert.pending_at < since for alert in situation.alerts_of(key))


async def _probe_all(subject: Subject, probe: Callable[[str], Awaitable[Probe]]) -> tuple[Probe | None, Probe | None]:
    """The root's probe, and the first that does not pass."""
    mine: Probe | None = None
    for key in dict.fromkeys((subject.root, *subject.resources)):
        made = await probe(key)
        if key == subject.root:
            mine = made
        if not made.ok:
            return mine, made
    return mine, None


async def _unserved(subject: Subject, probe: Callable[[str], Awaitable[Probe]]) -> tuple[str, ...]:
    """What needs the root and does not get it yet, each with its own word. One that cannot tell says nothing."""
    made = await asyncio.gather(*(probe(key) for key in subject.served))
    return tuple(
        f"{slug}, which needs it, is not served yet: {one.error}"
        for slug, one in zip(subject.served.values(), made, strict=True)
        if one.ok is False
    )


def _told(subject: Subject, after: Reading) -> tuple[str, ...]:
    """What changed between before and after, where the healed condition names it."""
    if subject.healed is None or subject.before is None:
        return ()
    named = set(re.findall(r"reading\.(\w+)", subject.healed.source))
    names = [name for name in after.metrics if name in named]
    return tuple(
        f"{words(name)}: {figure(subject.before.metrics[name], unit(name))} → {figure(after.metrics[name], unit(name))}"
        for name in names
        if name in subject.before.metrics
    )
