"""All sources of the configuration, and who is seen through which."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from watchkeeper.domain import ConfigurationError, Connector, Resource, Rule
from watchkeeper.domain.source import Seen
from watchkeeper.settings import ResourceSettings, Settings, secret
from watchkeeper.sources.exporters import Exporter, exporters_of
from watchkeeper.sources.source import PrometheusSource
from watchkeeper.sources.through import KEY, Lately, Through

PROVIDER = "prometheus"
"""The first word of the ids of what is only seen through a store."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a resource's settings say of its source."""

    source: str = ""
    whole: bool = False
    match: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])


def said(settings: Settings, entry: ResourceSettings, before: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry of the configuration adds to a resource's settings."""
    if entry.source is None and not entry.metrics:
        return {}
    known = Wanted(**before.get(KEY, {}))
    source = entry.source or known.source or next(iter(settings.sources))
    return {
        KEY: {
            "source": source,
            "whole": known.whole or entry.source is not None,
            "match": dict(entry.match or known.match),
            "metrics": {**known.metrics, **entry.metrics},
        }
    }


def only_seen(
    settings: Settings,
    connectors: Iterable[Connector[Any]],
    there: Iterable[Resource],
    about: Callable[[ResourceSettings, Resource], bool],
) -> list[tuple[Resource, Connector[Any]]]:
    """What is named with a kind and a source, and neither has a URL nor was found: nothing here reaches it."""
    by_kind = {connector.kind: connector for connector in connectors}
    found = list(there)
    made: list[tuple[Resource, Connector[Any]]] = []
    for entry in settings.resources:
        plain = not set("*?[") & set(entry.name)
        if entry.source is None or entry.url or entry.ignore or not plain or entry.kind not in by_kind:
            continue
        if any(about(entry, resource) for resource in found):
            continue
        name = entry.name.rpartition("/")[2]
        resource = Resource(
            id=f"{PROVIDER}/{entry.environment or 'production'}/{entry.kind}/{name}",
            slug=name.lower(),
            incarnation=f"{entry.source}:{','.join(f'{k}={v}' for k, v in sorted(entry.match.items()))}",
        )
        made.append((resource, by_kind[entry.kind]))
    return made


@dataclass(frozen=True, slots=True)
class Blind:
    """Of what there is no data: the last look, since when (loop time), and whether it was told."""

    look: Lately
    since: float
    told: bool = False


class Sources:
    """`tell` is called with an event's kind, its subject and a text; `learn` with each secret that a source uses."""

    def __init__(
        self,
        settings: Settings,
        connectors: Iterable[Connector[Any]],
        tell: Callable[[str, str, str], object] | None = None,
        learn: Callable[[str], object] | None = None,
    ) -> None:
        self._tell = tell or _untold
        self._blind: dict[str, Blind] = {}
        self._down: set[str] = set()
        exporters: dict[str, tuple[Exporter, ...]] = {}
        if settings.sources:
            exporters = {connector.kind: exporters_of(connector) for connector in connectors}
        self.by_name = {name: PrometheusSource(name, one, exporters) for name, one in settings.sources.items()}
        for source in self.by_name.values():
            for reference in source.settings.references:
                with suppress(ConfigurationError):  # told by the source itself, each time it is asked
                    (learn or _unlearned)(secret(reference))

    def through(self, resource: Resource, connector: Connector[Any], rules: Sequence[Rule]) -> Connector[Any]:
        """The connector, with the readings that the configuration wants of it."""
        wanted = Wanted(**resource.settings.get(KEY, {}))
        source = self.by_name.get(wanted.source)
        if source is None:
            return connector
        seen = Seen(wanted.whole, wanted.match, wanted.metrics)
        return cast("Connector[Any]", Through(connector, resource, source, seen, rules, self._looked))

    @property
    def problems(self) -> dict[str, str]:
        """By source: that it does not answer, or of what it has no data."""
        found: dict[str, str] = {}
        for name, source in self.by_name.items():
            blind = [one.look for one in self._blind.values() if one.look.source == name]
            if source.problem:
                found[f"source {name}"] = source.problem
            elif blind:
                shown = "; ".join(f"{one.resource.slug}: {one.problem}" for one in blind[:SHOWN])
                more = f"; and {len(blind) - SHOWN} more" if len(blind) > SHOWN else ""
                found[f"source {name}"] = f"no data of {len(blind)}: {shown}{more}"
        return found

    def forget(self, resource: str) -> None:
        """It is not watched any more."""
        self._blind.pop(resource, None)

    async def stop(self) -> None:
        await asyncio.gather(*(source.close() for source in self.by_name.values()))

    def _looked(self, look: Lately) -> None:
        """Tell once that there is no data, and once that there is again; of a source that does not answer, once for
        all that is seen through it. One scrape that failed is not told."""
        source, key, present = self.by_name[look.source], look.resource.id, asyncio.get_running_loop().time()
        if source.problem:
            if source.name not in self._down:
                self._down.add(source.name)
                self._tell("source.silent", source.name, f"no readings: {source.problem}")
            return
        if source.name in self._down:
            self._down.discard(source.name)
            self._tell("source.tells", source.name, f"{source.name} answers again")
        blind = self._blind.get(key)
        if not look.problem:
            if self._blind.pop(key, None) is not None and blind is not None and blind.told:
                self._tell("source.tells", key, f"{look.source} has data of {look.resource.slug} again")
            return
        blind = self._blind[key] = replace(blind or Blind(look, present), look=look)
        if not blind.told and present - blind.since >= source.patience(key):
            self._blind[key] = replace(blind, told=True)
            self._tell("source.silent", key, f"no data of {look.resource.slug} from {look.source}: {look.problem}")


def _untold(kind: str, subject: str, text: str) -> None:
    """For whoever asks once, with nobody to tell."""


def _unlearned(secret: str) -> None:
    """Nothing is stored."""
