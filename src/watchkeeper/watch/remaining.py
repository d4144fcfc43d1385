"""What ran on a host and does not show there now is there still: stopped, it has no process that tells what it was."""

import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from watchkeeper.connectors.naming import service_on
from watchkeeper.domain import Host, Resource, now

STARTING = 60.0
"""Seconds after its start for which a host's services may not show yet: a script may make their files first."""
KNOWN = 60.0
"""Seconds for which a service must have been there to stay although its host runs on without it: it ended, and is
down. What somebody ran there for a moment is simply over."""


class Remaining:
    """Remembers, by host, what was found on it."""

    def __init__(self) -> None:
        self._there: dict[tuple[str, str], tuple[Resource, float]] = {}
        """By the host's incarnation and the service's kind: as its connector brought it, and since when."""

    def recall(self, resources: Iterable[Resource]) -> None:
        """What the store knows of former runs. Only the host and its ports are taken from it: all else may be said
        otherwise by now."""
        for resource in resources:
            if resource.runs_on:
                self._there[resource.incarnation, resource.kind] = (resource, time.monotonic())

    async def with_those(self, kind: str, listed: Iterable[Resource], hosts: Mapping[str, Host]) -> list[Resource]:
        """What a connector lists; and what it listed before, on hosts that show no more than that they are stopped, or
        have only just been started."""
        seen: list[Resource] = []
        for resource in listed:
            known = self._named(kind, resource.id) if resource.incarnation not in hosts else None
            if known is not None and await self._stays(known, hosts):
                resource = replace(resource, runs_on=known.runs_on, incarnation=known.incarnation)
            elif resource.incarnation in hosts and resource.runs_on:
                _, since = self._there.get((resource.incarnation, kind), (resource, time.monotonic()))
                self._there[resource.incarnation, kind] = (resource, since)
            seen.append(resource)
        there = {resource.incarnation for resource in seen}
        for (incarnation, of), (known, _) in list(self._there.items()):
            if of != kind or incarnation in there or incarnation not in hosts:
                continue
            if await self._stays(known, hosts):
                plain = service_on(hosts[incarnation], kind=kind)
                seen.append(replace(plain, ports=known.ports, settings={**known.settings, **plain.settings}))
            else:
                del self._there[incarnation, of]
        return seen

    def forget(self, there: Container[str]) -> None:
        """All of what is on none of these hosts: they are gone."""
        self._there = {key: known for key, known in self._there.items() if key[0] in there}

    def _named(self, kind: str, key: str) -> Resource | None:
        """What is named by its address, and was found on a host."""
        known = (resource for (_, of), (resource, _) in self._there.items() if of == kind)
        return next((resource for resource in known if resource.id == key), None)

    async def _stays(self, known: Resource, hosts: Mapping[str, Host]) -> bool:
        host = hosts.get(known.incarnation)
        if host is None:
            return False
        state = await host.state()
        if state.status != "running":
            return state.status != "gone"
        _, since = self._there[known.incarnation, known.kind]
        young = state.started_at is not None and (now() - state.started_at).total_seconds() < STARTING
        return young or time.monotonic() - since >= KNOWN
