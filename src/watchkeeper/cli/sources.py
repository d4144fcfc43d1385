"""What `watchkeeper doctor` says of each source of readings, and of what is seen through it."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from watchkeeper.cli.finding import Finding
from watchkeeper.cli.within_reach import within_reach

if TYPE_CHECKING:
    from watchkeeper.settings import Settings
    from watchkeeper.sources import Found

SECONDS = 10.0
ADVICE = "docs/prometheus.md says how series are found, and what can be said by hand."


def sources(settings: "Settings") -> Iterator[Finding]:
    """Nothing where none is configured."""
    if not settings.sources:
        return
    for found in asyncio.run(_examined(settings)):
        own = found.subject in settings.sources
        subject = "source" if own else found.subject
        said = f"{found.subject}: {found.said or found.problem}" if own else found.said or found.problem
        if found.problem:
            yield Finding(subject, "broken" if own else "missing", said, "" if own else ADVICE)
        elif found.lacks:
            yield Finding(subject, "missing", said, f"Not read: {found.lacks}")
        else:
            yield Finding(subject, "ok", said)


async def _examined(settings: "Settings") -> "list[Found]":
    from watchkeeper.connectors import Registry
    from watchkeeper.sources import Sources, examine

    registry = Registry.installed()
    async with within_reach(registry, settings) as (fleet, _):
        return await examine(Sources(settings, registry), list(fleet.found.values()), SECONDS)
