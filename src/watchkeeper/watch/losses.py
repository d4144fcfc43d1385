"""What is gone since before: a server that is well again may have come back empty."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from watchkeeper.domain import Reading
from watchkeeper.watch.watcher import Watcher

Tells = Callable[[Sequence[Reading], Sequence[Reading]], str]
"""`TellsLosses.lost` of a connector."""


def keepers(resources: Iterable[str], watchers: Mapping[str, Watcher]) -> tuple[str, ...]:
    """Those of which it can be told."""
    return tuple(key for key in resources if key in watchers and hasattr(watchers[key].connector, "lost"))


def losses(resources: Iterable[str], watchers: Mapping[str, Watcher], since: datetime) -> tuple[str, ...]:
    """What each of them has lost since then, in a sentence each; as far back as its readings are in memory."""
    found: list[str] = []
    for key in keepers(resources, watchers):
        watcher = watchers[key]
        tells: Tells = cast(Any, watcher.connector).lost
        before = [reading for reading in reversed(watcher.ring) if reading.at <= since]
        later = [reading for reading in watcher.ring if reading.at > since]
        if said := tells(before, later):
            found.append(f"{watcher.resource.slug} {said}")
    return tuple(found)
