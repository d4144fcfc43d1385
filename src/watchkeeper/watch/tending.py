"""Who else looks after what is watched: told by labels, and by the connectors, which see policies and Sentinels."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import structlog

from watchkeeper.domain import ConfigurationError
from watchkeeper.domain.duration import seconds
from watchkeeper.domain.healer import Healer
from watchkeeper.settings.healers import HealersSettings
from watchkeeper.watch.watcher import Watcher

log = structlog.get_logger(__name__)
DECLARED_SECONDS = 60.0
"""For a healer of the user's own, where its label does not say how long it takes."""
Labels = Mapping[str, str]
Told = Callable[[Any], Sequence[object]]
"""`Tended.healers` of a connector that has it."""
_CARRIED_SECONDS = 1.0


class Tending:
    """The healers of each resource: its own, and those of what it runs on; a container has those of its service that
    act on what hangs, too."""

    def __init__(self, watchers: Mapping[str, Watcher], waits: HealersSettings) -> None:
        self._watchers = watchers
        self._waits: dict[str, float] = waits.model_dump(exclude_none=True)
        self._carried: dict[str, list[str]] = {}
        self._carried_at = -_CARRIED_SECONDS

    def of(self, key: str) -> tuple[Healer, ...]:
        """Each once."""
        watcher = self._watchers.get(key)
        if watcher is None:
            return ()
        found = self._own(watcher)
        if carrier := self._watchers.get(watcher.resource.runs_on or ""):
            found += self._own(carrier)
        for other in self._carried_by(key):
            found += [healer for healer in self._own(other) if healer.hangs or healer.owns]
        return tuple({(healer.kind, healer.name): healer for healer in reversed(found)}.values())[::-1]

    def said(self, key: str) -> list[str]:
        """For people, a line each."""
        return [healer.said for healer in self.of(key)]

    def _carried_by(self, key: str) -> list[Watcher]:
        if time.monotonic() - self._carried_at > _CARRIED_SECONDS:  # of ten thousand, not for each of them
            self._carried, self._carried_at = {}, time.monotonic()
            for name, watcher in self._watchers.items():
                self._carried.setdefault(watcher.resource.runs_on or "", []).append(name)
        return [self._watchers[name] for name in self._carried.get(key, ()) if name in self._watchers]

    def _own(self, watcher: Watcher) -> list[Healer]:
        return [
            replace(healer, wait=self._waits[healer.kind]) if healer.kind in self._waits else healer
            for healer in (*labelled(watcher.resource.labels), *_told(watcher))
        ]


def _told(watcher: Watcher) -> Sequence[Healer]:
    """By its connector, which may be somebody else's."""
    session = watcher.open_session
    healers = cast("Told | None", getattr(watcher.connector, "healers", None))  # not asked for as a protocol: too slow
    if session is None or healers is None:
        return ()
    try:
        return [healer for healer in healers(session) if isinstance(healer, Healer)]
    except Exception as problem:
        log.info("its healers cannot be told", resource=watcher.resource.id, problem=str(problem))
        return ()


def labelled(labels: Labels) -> Iterator[Healer]:
    """Who put the label there looks after it.

    >>> [healer.name for healer in labelled({"io.kubernetes.pod.name": "shop-7f", "io.kubernetes.container.name": "a"})]
    ['Kubernetes (pod shop-7f)']
    """
    for label, made in _ORCHESTRATORS.items():
        if labels.get(label):
            yield made(labels)
    if name := labels.get("watchkeeper.healer"):
        owns = labels.get("watchkeeper.healer-owns", "").strip().lower() in ("true", "1", "yes")
        yield Healer("declared", name, _wait(labels), hangs=True, owns=owns)


def _wait(labels: Labels) -> float:
    try:
        return seconds(labels.get("watchkeeper.healer-wait", "") or DECLARED_SECONDS)
    except ConfigurationError:
        return DECLARED_SECONDS


def _kubernetes(labels: Labels) -> Healer:
    pod, space = labels["io.kubernetes.pod.name"], labels.get("io.kubernetes.pod.namespace", "default")
    instead = f"kubectl -n {space} delete pod {pod} (its controller makes another)"
    return Healer("kubernetes", f"Kubernetes (pod {pod})", hangs=True, owns=True, instead=instead)


def _swarm(labels: Labels) -> Healer:
    name = labels["com.docker.swarm.service.name"]
    instead = f"docker service update --force {name}"
    return Healer("swarm", f"Docker Swarm (service {name})", hangs=True, owns=True, instead=instead)


def _nomad(labels: Labels) -> Healer:
    name = labels["com.hashicorp.nomad.alloc_id"]
    return Healer(
        "nomad", f"Nomad (allocation {name[:8]})", hangs=True, owns=True, instead=f"nomad alloc restart {name}"
    )


def _ecs(labels: Labels) -> Healer:
    task = labels["com.amazonaws.ecs.task-arn"].rpartition("/")[2]
    return Healer("ecs", f"Amazon ECS (task {task})", hangs=True, owns=True, instead=f"aws ecs stop-task --task {task}")


_ORCHESTRATORS: Mapping[str, Callable[[Labels], Healer]] = {
    "io.kubernetes.pod.name": _kubernetes,
    "com.docker.swarm.service.name": _swarm,
    "com.hashicorp.nomad.alloc_id": _nomad,
    "com.amazonaws.ecs.task-arn": _ecs,
}
