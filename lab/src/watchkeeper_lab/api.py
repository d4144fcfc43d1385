"""What the lab reads from a running Watchkeeper: plain GETs, and the few fields of each answer that are needed."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

import httpx

from watchkeeper_lab.containers import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.stack import REPLICAS

ENDED = frozenset({"closed", "escalated"})
FRESH_SECONDS = 2.0
NOT_DONE = frozenset({"", "intended", "refused", "skipped"})
Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A watched resource of the lab, with its service."""

    id: str
    kind: str
    service: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `firing_at` is Unix time, None where it has not fired."""

    rule: str
    resource: str
    status: str
    firing_at: float | None


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident; times in Unix time. `root` is a resource id, empty where none is known yet. `roots`: all."""

    id: str
    status: str
    outcome: str
    title: str
    root: str
    roots: frozenset[str]
    opened_at: float
    closed_at: float | None
    alerts: tuple[Alert, ...]
    cause: str = ""
    """What it is told to come from, in words."""

    @property
    def ended(self) -> bool:
        """Whether Watchkeeper is through with it."""
        return self.status in ENDED

    def touches(self, resources: Iterable[str]) -> bool:
        """Whether it is about any of these resources."""
        mine = {*self.roots, *(alert.resource for alert in self.alerts)}
        return not mine.isdisjoint(resources)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a fix. Times in Unix time, None where it has not come to that."""

    tool: str
    resource: str
    effect: str
    status: str
    started_at: float | None
    finished_at: float | None
    error: str

    @property
    def acted(self) -> bool:
        """Whether it was executed and may have changed something."""
        return self.effect != "read" and self.status not in NOT_DONE and self.started_at is not None


@dataclass(frozen=True, slots=True)
class Fix:
    """An executed plan. Times in Unix time. `verdict` is empty until there is one."""

    id: str
    incident_id: str
    author: str
    planned_at: float | None
    status: str
    finished_at: float | None
    steps: tuple[Step, ...]
    verdict: str
    reasons: tuple[str, ...]


class Watchkeeper:
    """A client of a running Watchkeeper that keeps to the resources of one compose project, or of one lab's processes.

    Those are told by their port, with which their names end.
    """

    def __init__(self, base_url: str, project: str, by_port: Mapping[int, str] | None = None) -> None:
        self._client = loopback(base_url, timeout=10.0)
        self._project = project
        self._by_port = by_port or {}
        self._seen: tuple[float, dict[str, Resource]] = (0.0, {})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def resources(self) -> dict[str, Resource]:
        """The lab's resources by id."""
        found: dict[str, Resource] = {}
        for item in await self._items("/api/resources"):
            if service := self._service(item):
                found[item["id"]] = Resource(item["id"], item["kind"], service)
        self._seen = (time.monotonic(), found)
        return found

    async def _lately(self) -> dict[str, Resource]:
        """The same, up to two seconds old: who follows an incident asks often, and they rarely change."""
        return self._seen[1] if time.monotonic() - self._seen[0] < FRESH_SECONDS else await self.resources()

    def _service(self, item: Fields) -> str:
        return service_of(item, self._project, self._by_port)

    async def health(self) -> dict[str, str]:
        """Health of the lab's resources by id."""
        mine = await self.resources()
        items = await self._items("/api/resources/status")
        return {item["id"]: item["health"] for item in items if item["id"] in mine}

    async def incidents(self) -> list[Incident]:
        """Incidents about the lab's resources, oldest first."""
        mine = await self._lately()
        found = [read_incident(item) for item in await self._items("/api/incidents")]
        return sorted((one for one in found if one.touches(mine)), key=lambda one: one.opened_at)

    async def fixes(self) -> list[Fix]:
        """Fixes with a step on one of the lab's resources, oldest first."""
        mine = await self._lately()
        found = [read_fix(item) for item in await self._items("/api/fixes")]
        about = [one for one in found if any(step.resource in mine for step in one.steps)]
        return sorted(about, key=lambda one: one.planned_at or 0.0)

    async def slowest_for(self) -> float | None:
        """The longest `for` of any rule with a runbook that acts, in seconds; None where the server does not tell. What
        is only told, of a machine for example, may wait for ten minutes before it is."""
        try:
            acting = {item["name"] for item in await self._items("/api/runbooks") if item["ladder"]}
            rules = [item for item in await self._items("/api/rules") if item["runbook"] in acting]
            waits = [float(item["for_seconds"]) for item in rules]
        except (httpx.HTTPError, LabError, KeyError):
            return None
        return max(waits, default=None)

    async def _items(self, path: str) -> list[Fields]:
        try:
            try:
                answer = await self._client.get(path)
            except httpx.RemoteProtocolError:  # it closed a connection that was idle, just then
                answer = await self._client.get(path)
        except httpx.TransportError as error:
            raise LabError(
                f"Watchkeeper does not answer at {self._client.base_url}: {type(error).__name__}.",
                "Start it with `watchkeeper up`, and give its address where it is not the usual one.",
            ) from error
        if answer.status_code != 200:
            raise LabError(f"Watchkeeper answered {path} with status {answer.status_code}.", answer.text[:160])
        return cast(list[Fields], answer.json()["items"])


def service_of(item: Fields, project: str, by_port: Mapping[int, str]) -> str:
    """The lab's service that a resource is, told by its labels or its id; empty where it is not the lab's."""
    labels: Fields = item.get("labels") or {}
    if labels.get(PROJECT_LABEL) == project:
        service = str(labels.get(SERVICE_LABEL, "?"))
        number = labels.get(NUMBER_LABEL)
        return f"{service}-{number}" if service in REPLICAS and number else service
    port = str(item["id"]).rpartition("-")[2]
    return by_port.get(int(port), "") if port.isdigit() else ""


def read_incident(item: Fields) -> Incident:
    """An incident from its JSON."""
    diagnosis: Fields = item.get("diagnosis") or {}
    alerts = [
        Alert(one["rule"], one["resource"], one["status"], _moment(one.get("firing_at")))
        for one in item.get("alerts", [])
    ]
    root = item.get("root") or diagnosis.get("root") or ""
    others: list[str] = item.get("roots") or []
    return Incident(
        id=item["id"],
        status=item["status"],
        outcome=item.get("outcome") or "",
        title=item.get("title") or "",
        root=root,
        roots=frozenset([one for one in (root, *others) if one]),
        opened_at=_moment(item["opened_at"]) or 0.0,
        closed_at=_moment(item.get("closed_at")),
        alerts=tuple(alerts),
        cause=str(diagnosis.get("cause") or ""),
    )


def read_fix(item: Fields) -> Fix:
    """A fix from its JSON. What was planned tells a step's effect; what was done, its times."""
    plan: Fields = item["plan"]
    planned: list[Fields] = plan["steps"]
    verdict: Fields = item.get("verdict") or {}
    steps = [_step(one, planned) for one in item.get("steps", [])]
    return Fix(
        id=item["id"],
        incident_id=item.get("incident_id") or "",
        author=plan["author"],
        planned_at=_moment(plan.get("created_at")),
        status=item["status"],
        finished_at=_moment(item.get("finished_at")),
        steps=tuple(steps),
        verdict=verdict.get("outcome") or "",
        reasons=tuple(verdict.get("reasons") or ()),
    )


def _step(done: Fields, planned: list[Fields]) -> Step:
    index = int(done["index"])
    intent: Fields = planned[index] if index < len(planned) else {}
    return Step(
        tool=done["tool"],
        resource=done["resource"],
        effect=intent.get("effect") or "",
        status=done.get("status") or "",
        started_at=_moment(done.get("started_at")),
        finished_at=_moment(done.get("finished_at")),
        error=done.get("error") or "",
    )


def _moment(text: str | None) -> float | None:
    """Unix time of an ISO 8601 moment; one without an offset is UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else datetime.fromisoformat(f"{text}+00:00")).timestamp()
