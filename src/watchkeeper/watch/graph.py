"""The dependency graph in force: what is inferred, with what is said by hand over it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase

from watchkeeper.domain import Resource, now
from watchkeeper.domain.dependency import Dependency, How, Unknown
from watchkeeper.domain.spared import MODEL
from watchkeeper.settings import ResourceSettings, Settings

NOT = "!"
"""Before a name in `depends_on`: it does not need that one, whatever it looks like."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the configuration says of a resource's dependencies: `only` in place of what is inferred (None: nothing is
    said), `never` taken away from it. Ids."""

    only: tuple[str, ...] | None = None
    never: frozenset[str] = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Graph:
    """Edges and what is not known about them."""

    resources: Mapping[str, Resource] = field(default_factory=dict[str, Resource])
    """As their connectors brought them, without inferred edges."""
    said: Mapping[str, Said] = field(default_factory=dict[str, Said])
    inferred: tuple[Dependency, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    misnamed: tuple[Unknown, ...] = ()
    """Names in the configuration that lead nowhere."""
    at: datetime = field(default_factory=now)

    def over(self, resources: Mapping[str, Resource], settings: Settings, renamed: Mapping[str, str]) -> "Graph":
        """The same knowledge over what there is to watch now. `renamed`: ids as they were found → ids in force."""
        said, misnamed = _corrections(resources, settings, renamed)
        return replace(self, resources=resources, said=said, misnamed=misnamed, at=now())

    def needs(self) -> dict[str, tuple[str, ...]]:
        """What each resource needs, in force: by hand, else as its connector says and as it is inferred."""
        found: dict[str, dict[str, None]] = {}
        for edge in self.edges():
            if edge.how != "runs_on":
                found.setdefault(edge.source, {})[edge.target] = None
        return {source: tuple(targets) for source, targets in found.items()}

    def edges(self) -> list[Dependency]:
        """All edges in force, in every way they are known."""
        stated = [*self._declared(), *(edge for edge in self.inferred if self._in_force(edge))]
        carried = (
            Dependency(key, r.runs_on, "runs_on", "it runs in it", self.at, self.at)
            for key, r in self.resources.items()
            if r.runs_on in self.resources and r.runs_on
        )
        return [*stated, *carried]

    def overruled(self) -> list[Dependency]:
        """What is inferred, but the configuration says otherwise."""
        return [edge for edge in self.inferred if self._both(edge) and not self._in_force(edge)]

    def _declared(self) -> Iterator[Dependency]:
        for key, resource in self.resources.items():
            said = self.said.get(key, Said())
            by_hand = said.only is not None
            for target in said.only if said.only is not None else resource.depends_on:
                if target in self.resources and target not in said.never:
                    how, evidence = _stated(resource.kind, by_hand=by_hand)
                    yield Dependency(key, target, how, evidence, self.at, self.at)

    def _both(self, edge: Dependency) -> bool:
        return edge.source in self.resources and edge.target in self.resources

    def _in_force(self, edge: Dependency) -> bool:
        said = self.said.get(edge.source, Said())
        if not self._both(edge) or edge.target in said.never:
            return False
        return said.only is None


def _stated(kind: str, *, by_hand: bool) -> tuple[How, str]:
    """How an edge is known that nobody inferred, and what shows it."""
    if by_hand:
        return "declared", "by hand (depends_on)"
    return ("processes", "one of its processes runs there") if kind == MODEL else ("declared", "its connector says so")


def names(said: ResourceSettings, resource: Resource) -> bool:
    """Whether an entry of the configuration is about this resource."""
    known = (resource.id, resource.slug, resource.name)
    return (said.kind in (None, resource.kind)) and any(fnmatchcase(name, said.name) for name in known)


def _corrections(
    resources: Mapping[str, Resource], settings: Settings, renamed: Mapping[str, str]
) -> tuple[dict[str, Said], tuple[Unknown, ...]]:
    """Slugs in force, ids, and names (globs allowed) become ids."""
    found: dict[str, Said] = {}
    misnamed: list[Unknown] = []
    for key, resource in resources.items():
        for entry in settings.resources:
            if entry.depends_on is None or not names(entry, resource):
                continue
            only: list[str] = []
            never: set[str] = set()
            for name in entry.depends_on:
                plain = name.removeprefix(NOT).strip()
                meant = _meant(renamed.get(plain, plain), resources)
                if not meant:
                    text = f"depends_on of {resource.slug} names {name!r}, which nothing watched is called"
                    misnamed.append(Unknown(key, text))
                (never.update if name.startswith(NOT) else only.extend)(meant)
            positive = not entry.depends_on or any(not name.startswith(NOT) for name in entry.depends_on)
            found[key] = Said(tuple(dict.fromkeys(only)) if positive else None, frozenset(never))
    return found, tuple(misnamed)


def _meant(name: str, resources: Mapping[str, Resource]) -> Sequence[str]:
    exact = [key for key, resource in resources.items() if name in (key, resource.slug)]
    return exact or [
        key
        for key, resource in resources.items()
        if any(fnmatchcase(text, name) for text in (key, resource.slug, resource.name))
    ]
