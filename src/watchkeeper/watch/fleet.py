"""What there is to watch: found on hosts, named in the configuration, given unique slugs."""

import asyncio
import difflib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog

from watchkeeper.connectors import Registry
from watchkeeper.connectors.naming import chosen
from watchkeeper.domain import Connector, Host, NotFound, Resource
from watchkeeper.domain.dependency import Dependency, Unknown
from watchkeeper.domain.spared import MODEL
from watchkeeper.settings import ResourceSettings, Settings
from watchkeeper.sources import only_seen, said
from watchkeeper.watch.conduct import untold
from watchkeeper.watch.graph import Graph, names
from watchkeeper.watch.remaining import Remaining
from watchkeeper.watch.supervision import Supervision

log = structlog.get_logger(__name__)
DISCOVERY = 30.0
"""Seconds that one connector's discovery may take."""
AT_A_TIME = 200
"""Resources gone through at a stretch: a few milliseconds, in which nothing else has its turn."""
RESERVED = frozenset({"status", "map", "new", "all"})
"""Words that are paths of the API, so no slug."""
_NO_PATH = re.compile(r"[^\w.-]+")


class Provider(Protocol):
    """A source of hosts: a Docker engine, this machine, a list of SSH hosts."""

    problem: str | None

    async def hosts(self) -> list[Any]: ...


Found = dict[str, tuple[Resource, Host | None, Connector[Any]]]


class Fleet:
    """All resources by id."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        providers: Iterable[Provider],
        supervision: Supervision | None = None,
    ) -> None:
        self._registry = registry
        self._supervision = supervision or Supervision(registry, untold)
        self._settings = settings
        self._providers = list(providers)
        self.found: Found = {}
        self.searched_at = time.monotonic()
        """When the last search ended, on the clock that does not jump."""
        self._resources_of: Found | None = None
        self._resources: dict[str, Resource] = {}
        self.graph = Graph()
        self.problems: dict[str, str] = {}
        self.remaining = Remaining()
        self._seen: dict[int, set[str]] = {}
        self._matched: set[int] = set()
        """Which entries of the configuration are about something that was found."""
        self.left_out: set[tuple[str, str, str]] = set()
        """Provider, kind and name of what is there, and `only` leaves out."""
        self.renamed: Sequence[Resource] = ()
        """What is in another environment now than at the last end."""
        self._about: dict[tuple[str, str], list[int]] = {}
        """By kind and name: the entries that were about it when it was last found."""

    @property
    def resources(self) -> Mapping[str, Resource]:
        if self._resources_of is not self.found:  # once per discovery, not per question
            self._resources = {key: resource for key, (resource, _, _) in self.found.items()}
            self._resources_of = self.found
        return self._resources

    async def discover(self) -> Found:
        """Ask every provider and connector anew. One that fails is named in `problems`; the rest goes on.

        What a failing connector found before is kept: nothing is called gone because somebody could not look.
        """
        hosts, unseen = await self._hosts()
        by_incarnation = {host.incarnation: host for host in hosts}
        self.remaining.forget(by_incarnation.keys() | unseen)
        before = {key: (self.graph.resources.get(key, r), h, c) for key, (r, h, c) in self.found.items()}
        found: Found = {}
        self._matched, self.left_out = set(), set()
        renamed: dict[str, str] = {}
        for connector in self._registry:
            entries = [r.model_dump() for r in self._settings.resources if r.kind == connector.kind]
            given = {"resources": entries, "checks": self._settings.checks, "only": self._settings.only}
            conduct = self._supervision.of(connector.kind)
            if conduct.quarantined:
                self.problems.pop(connector.kind, None)
                found |= {key: value for key, value in before.items() if value[2] is connector}
                continue
            listed, problem = await conduct.discover(connector, hosts, given, DISCOVERY)
            if problem is None:
                listed = await self.remaining.with_those(connector.kind, listed, by_incarnation)
            for number, resource in enumerate(listed, 1):
                kept = self._configured(resource)
                if kept is not None:
                    renamed[resource.id] = kept.id
                    found[kept.id] = (kept, by_incarnation.get(kept.incarnation), connector)
                if number % AT_A_TIME == 0:
                    await asyncio.sleep(0)  # others have their turn
            if problem is None:
                self.problems.pop(connector.kind, None)
                continue
            log.warning("a connector could not discover", connector=connector.kind, problem=str(problem))
            self.problems[connector.kind] = f"{type(problem).__name__}: {problem}"
            found = {key: value for key, value in before.items() if value[2] is connector} | found
        for resource, connector in only_seen(
            self._settings, self._registry, (resource for resource, _, _ in found.values()), names
        ):
            if (kept := self._configured(resource)) is not None:
                found[kept.id] = (kept, None, connector)
        if unseen:
            kept = {key: value for key, value in before.items() if value[1] and value[1].incarnation in unseen}
            found = kept | found
        await asyncio.sleep(0)
        named = self._with_slugs(found)
        await asyncio.sleep(0)
        linked = _not_alone(_linked(named, renamed))
        await asyncio.sleep(0)
        self.graph = self.graph.over({key: value[0] for key, value in linked.items()}, self._settings, renamed)
        self.searched_at = time.monotonic()
        return self._joined(linked)

    def infer(self, dependencies: Sequence[Dependency], unknown: Sequence[Unknown]) -> None:
        """These are the inferred edges from now on; what the configuration says by hand goes over them."""
        self.graph = replace(self.graph, inferred=tuple(dependencies), unknown=tuple(unknown))
        self._joined(self.found)

    def _joined(self, found: Found) -> Found:
        needs = self.graph.needs()
        self.found = {key: (_with(r, depends_on=needs.get(key, ())), h, c) for key, (r, h, c) in found.items()}
        return self.found

    async def _hosts(self) -> tuple[list[Host], set[str]]:
        """All hosts, asked for at once; and the incarnations of those whose provider could not look now."""

        async def ask(provider: Provider) -> tuple[list[Any], str | None]:
            try:
                return await provider.hosts(), provider.problem
            except Exception as raised:
                return [], f"{type(raised).__name__}: {raised}"

        hosts: list[Host] = []
        unseen: set[str] = set()
        answers = await asyncio.gather(*(ask(provider) for provider in self._providers))
        for number, (provider, (there, problem)) in enumerate(zip(self._providers, answers, strict=True)):
            name = getattr(provider, "name", "") or type(provider).__name__
            if problem:
                self.problems[name] = problem
                unseen |= self._seen.get(number, set())
            else:
                self.problems.pop(name, None)
                self._seen[number] = {host.incarnation for host in there}
            hosts += there
        return hosts, unseen

    def resource(self, key: str) -> Resource:
        """By id or slug. Raises NotFound, which names the nearest."""
        if key in self.found:
            return self.found[key][0]
        slugs = {resource.slug: resource for resource, _, _ in self.found.values()}
        if key in slugs:
            return slugs[key]
        near = difflib.get_close_matches(key, [*slugs, *self.found], n=1)
        raise NotFound(
            f"There is no resource {key!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
            "`watchkeeper status` lists them.",
        )

    def unmatched(self) -> list[ResourceSettings]:
        """Entries of the configuration that are about nothing the last search found, nor about what is watched still
        although that did not find it (it may not let anybody in just now); what is to be ignored may be missing."""
        kept = {(resource.kind, resource.name) for resource in self.resources.values()}
        matched = self._matched.union(*(about for it, about in self._about.items() if it in kept))
        entries = enumerate(self._settings.resources)
        return [entry for number, entry in entries if number not in matched and not entry.ignore]

    @property
    def misnamed(self) -> str:
        """The same in words, with what each was most likely meant to be; empty where there is none."""
        return "\n".join(self._misnamed(entry) for entry in self.unmatched())

    def _misnamed(self, entry: ResourceSettings) -> str:
        there = [resource for resource in self.resources.values() if entry.kind in (None, resource.kind)]
        near = [resource.id for resource in there if resource.slug == entry.name]
        near += difflib.get_close_matches(entry.name, [name for r in there for name in (r.slug, r.id)], n=1)
        of_kind = f" of kind {entry.kind}" if entry.kind else ""
        hint = f'; did you mean "{near[0]}"?' if near else "; `watchkeeper status` lists what is there."
        if not there:
            hint = "; it is known from its monitor's first push on." if entry.kind == MODEL else "; none is there yet."
        return f'"{entry.name}" matches nothing{of_kind} that was found{hint}'

    def _configured(self, resource: Resource) -> Resource | None:
        """The resource with what the configuration says of it; None where it is not to be watched."""
        about = [number for number, entry in enumerate(self._settings.resources) if names(entry, resource)]
        self._matched.update(about)
        self._about[resource.kind, resource.name] = about
        if not chosen(resource, self._settings.only):
            self.left_out.add((resource.provider, resource.kind, resource.name))
            return None
        for number in about:
            entry = self._settings.resources[number]
            if entry.ignore:
                return None
            settings = dict(resource.settings) | entry.settings
            settings |= said(self._settings, entry, settings)
            if entry.password:
                settings["password"] = entry.password
            if entry.username:
                settings["username"] = entry.username
            if entry.environment:
                provider, _, kind, name = resource.id.split("/", 3)
                resource = replace(resource, id=f"{provider}/{entry.environment}/{kind}/{name}")
            resource = replace(
                resource,
                settings=settings,
                may_act=resource.may_act if entry.act is None else entry.act,
            )
        return resource

    def _with_slugs(self, found: Found) -> Found:
        """Unique slugs: known ones stay, a newcomer whose proposal is taken gets its full name, then a number.

        Newcomers come by their ids, so that the same resources have the same slugs after a restart.
        """
        taken = {key: self.found[key][0].slug for key in found if key in self.found}
        used = set(taken.values())
        numbers: dict[str, int] = {}
        for key, (resource, _, _) in sorted(found.items()):
            if key in taken:
                continue
            wanted = (resource.slug, f"{resource.kind}-{resource.name}", f"{resource.environment}-{resource.slug}")
            proposals = [_NO_PATH.sub("-", proposal) for proposal in wanted]
            slug = next((p for p in proposals if p not in used and p not in RESERVED), None)
            while slug is None:
                number = numbers[proposals[0]] = numbers.get(proposals[0], 1) + 1
                candidate = f"{proposals[0]}-{number}"
                slug = candidate if candidate not in used else None
            taken[key] = slug
            used.add(slug)
        return {key: (_with(value[0], slug=taken[key]), value[1], value[2]) for key, value in found.items()}


def _with(resource: Resource, **changes: Any) -> Resource:
    """The same one where nothing changes, as for nearly all of them in nearly every search: copies of a thousand cost
    the time of dozens of answers."""
    same = all(getattr(resource, name) == value for name, value in changes.items())
    return resource if same else replace(resource, **changes)


def _not_alone(found: Found) -> Found:
    """Without what is watched only as what something else runs on, where nothing does."""
    carriers = {key for resource, _, _ in found.values() for key in (resource.runs_on, *resource.depends_on)}

    def wanted(resource: Resource, host: Host | None) -> bool:
        carrier = host is not None and resource.kind == host.kind
        return not carrier or resource.id in carriers or resource.labels.get("watchkeeper.alone", "true") != "false"

    return {key: value for key, value in found.items() if wanted(value[0], value[1])}


def _linked(found: Found, renamed: Mapping[str, str]) -> Found:
    """Edges that lead to the ids in force: the configuration may have named a slug, or changed an environment."""
    ids = {resource.slug: key for key, (resource, _, _) in found.items()} | dict(renamed)
    return {
        key: (
            _with(
                resource,
                depends_on=tuple(ids.get(needed, needed) for needed in resource.depends_on),
                runs_on=ids.get(resource.runs_on, resource.runs_on) if resource.runs_on else None,
            ),
            host,
            connector,
        )
        for key, (resource, host, connector) in found.items()
    }
