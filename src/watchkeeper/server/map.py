"""`/api/resources/map`: what needs what, how that is known, and what cannot be known."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from watchkeeper.domain import Health
from watchkeeper.domain.dependency import Dependency, How, Unknown
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Viewer
from watchkeeper.watch.watcher import Watcher

router = APIRouter(prefix="/api/resources", tags=["resources"])


class Node(BaseModel):
    """One resource on the map."""

    id: str
    slug: str
    kind: str
    environment: str
    health: Health
    state: str
    runs_on: str | None


class Sign(BaseModel):
    """One way in which an edge is known. `since` and `seen_at`: first and last seen."""

    how: How
    evidence: str
    since: datetime
    seen_at: datetime


class Edge(BaseModel):
    """`source` needs `target` (ids)."""

    source: str
    target: str
    known: list[Sign]


class Gap(BaseModel):
    """What cannot be known of a resource's dependencies, and why."""

    resource: str
    text: str


class MapView(BaseModel):
    """`overruled`: what it looks like, but the configuration says otherwise. `at`: when it was last looked at."""

    nodes: list[Node]
    edges: list[Edge]
    overruled: list[Edge]
    unknown: list[Gap]
    seconds: float
    """How long the last look took."""


def _edges(known: list[Dependency]) -> list[Edge]:
    signs: dict[tuple[str, str], list[Sign]] = {}
    for one in sorted(known, key=lambda edge: (edge.source, edge.target, edge.how)):
        sign = Sign(how=one.how, evidence=one.evidence, since=one.since, seen_at=one.seen_at)
        signs.setdefault(one.edge, []).append(sign)
    return [Edge(source=source, target=target, known=known) for (source, target), known in signs.items()]


def _node(watcher: Watcher) -> Node:
    resource, last = watcher.resource, watcher.last
    return Node(
        id=resource.id,
        slug=resource.slug,
        kind=resource.kind,
        environment=resource.environment,
        health=watcher.health,
        state=(last.error or last.state) if last else "not looked at yet",
        runs_on=resource.runs_on,
    )


def _gaps(runtime: Runtime, said: tuple[Unknown, ...]) -> list[Gap]:
    return [Gap(resource=gap.resource, text=gap.text) for gap in said if gap.resource in runtime.watch.watchers]


@router.get("/map")
async def dependency_map(runtime: Here, _: Viewer) -> MapView:
    """The dependency graph in force, with the evidence for each edge."""
    watch = runtime.watch
    graph = watch.fleet.graph

    def watched(edges: list[Dependency]) -> list[Dependency]:
        return [edge for edge in edges if edge.source in watch.watchers and edge.target in watch.watchers]

    return MapView(
        nodes=[_node(watcher) for _, watcher in sorted(watch.watchers.items())],
        edges=_edges(watched(graph.edges())),
        overruled=_edges(watched(graph.overruled())),
        unknown=_gaps(runtime, (*graph.misnamed, *graph.unknown)),
        seconds=watch.survey.seconds,
    )
