"""The ledger of live changes that are not in the user's declared configuration, made anew each time it is asked for."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import structlog

from watchkeeper.domain import Event, Resource, WatchkeeperError, now
from watchkeeper.domain.change import Difference
from watchkeeper.domain.drift import Declared, Drift, Edit
from watchkeeper.store import Store
from watchkeeper.watch.changes import KINDS
from watchkeeper.watch.watcher import Watcher

log = structlog.get_logger(__name__)
SECONDS = 5.0
"""How long one resource may take to tell."""
AT_ONCE = 10
_BACK = timedelta(days=90)


async def drift(store: Store, watchers: Mapping[str, Watcher]) -> tuple[list[Drift], list[Edit], list[str]]:
    """What drifts, the edits that would declare it, and whose declaration could not be asked for."""
    gate = asyncio.Semaphore(AT_ONCE)
    known = {key: watcher for key, watcher in watchers.items() if hasattr(watcher.connector, "declared")}

    async def ask(watcher: Watcher) -> list[Declared] | None:
        try:
            async with gate, asyncio.timeout(SECONDS):
                return await cast(Any, watcher.connector).declared(watcher.session)
        except (WatchkeeperError, TimeoutError):
            return None
        except Exception:
            log.exception("what is declared could not be asked for", resource=watcher.resource.id)
            return None

    answers = await asyncio.gather(*(ask(watcher) for watcher in known.values()))
    events = await store.happened(KINDS, since=now() - _BACK, resources=list(known), limit=10_000)
    by_resource: dict[str, list[Event]] = {}
    for event in events:
        by_resource.setdefault(str(event.resource), []).append(event)
    found: list[Drift] = []
    edits: list[Edit] = []
    silent: list[str] = []
    for watcher, answer in zip(known.values(), answers, strict=True):
        resource = watcher.resource
        if answer is None:
            silent.append(resource.slug)
            continue
        told = [*by_resource.get(resource.id, ()), *by_resource.get(resource.runs_on or "", ())]
        for one in answer:
            if (made := drifted(one, resource, told)) is not None:
                found.append(made)
                edits += [one.edit] if one.edit else []
    return found, edits, silent


def drifted(one: Declared, resource: Resource, events: list[Event]) -> Drift | None:
    """The drift of one setting; None where it is as declared. What is declared nowhere drifts only where it was seen to
    change since the last start: else it is what it was started with."""
    first, last = _changed(one.key, resource, events)
    if one.declared == one.live or (last is None and (one.declared is None or not one.certain)):
        return None
    fix = str(last.data["fix"]) if last and last.data.get("fix") else None
    return Drift(
        resource=resource.slug,
        setting=one.setting,
        declared=one.declared,
        live=one.live,
        where=one.where,
        line=one.line,
        why_not="" if one.edit else one.why_not,
        since=last.at if last else None,
        fix=fix,
        by=last.by if last else "",
        was=first.was if first and one.lost and one.declared is None else "",
    )


def _changed(key: str, resource: Resource, events: list[Event]) -> tuple[Difference | None, Event | None]:
    """The first change of the setting since the last start, and the last one's event; none where it was taken back."""
    anew = ("change.restart", "change.deploy") if not key.endswith(("_bytes", "cpus", "pids")) else ("change.deploy",)
    first: Difference | None = None
    last: Event | None = None
    after = ""
    for event in sorted(events, key=lambda known: known.seq):
        if event.kind in anew:
            first, last = None, None
        for change in cast("list[dict[str, str]]", event.data.get("changes") or []):
            if event.resource == resource.id and change["setting"] == key and event.kind not in anew:
                first = first or Difference(key, change["before"], change["after"])
                last, after = event, change["after"]
    return (None, None) if first is None or after == first.before else (first, last)
