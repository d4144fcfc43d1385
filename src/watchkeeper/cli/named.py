"""Names in the configuration that lead nowhere: settings, environments, and what is not there."""

import asyncio
import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from watchkeeper.cli.finding import Finding
from watchkeeper.cli.within_reach import within_reach
from watchkeeper.domain.spared import MODEL

if TYPE_CHECKING:
    from watchkeeper.connectors import Registry
    from watchkeeper.settings import ResourceSettings, Settings

Problem = tuple[str, str]
"""What is wrong, and what to do about it."""


def nearest(wanted: str, known: list[str]) -> str:
    """` (did you mean …?)`, or nothing."""
    near = difflib.get_close_matches(wanted, known, n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""


def unknown_settings(said: "ResourceSettings", registry: "Registry") -> Iterator[Problem]:
    """Keys under `settings:` that the connector of this kind does not know, as far as it says which it knows."""
    from watchkeeper.domain.connector import NamesSettings

    connector = next((known for known in registry if known.kind == said.kind), None)
    if not isinstance(connector, NamesSettings):
        return
    known = list(connector.setting_names)
    for key in said.settings:
        if key not in known:
            where = f"resources, {said.name}: unknown key `{key}` in `settings`{nearest(key, known)}."
            listed = ", ".join(known) or "none"
            yield where, f"Settings of the kind {said.kind}: {listed}."


LIKE = 0.8
"""From which likeness on (difflib's ratio) an environment is a known one misspelt: `stagng` 0.92, `stage` 0.67."""


def misspelt_environments(settings: "Settings") -> Iterator[Problem]:
    """Environments without a row that can only be meant to be one that has: `stagng`, not `staging-2`."""
    known = list(settings.policy.merged())
    for environment, (what, advice) in _without_row(settings):
        near = difflib.get_close_matches(environment.lower(), known, n=1, cutoff=LIKE)
        if near and near[0] not in environment and environment not in near[0]:
            yield what, advice


def unknown_environments(settings: "Settings") -> Iterator[Problem]:
    """Environments without a row in the policy's table: the row of production holds for them."""
    misspelt = list(misspelt_environments(settings))
    yield from (said for _, said in _without_row(settings) if said not in misspelt)


def _without_row(settings: "Settings") -> Iterator[tuple[str, Problem]]:
    known = list(settings.policy.merged())
    named = [(f"resources, {said.name}", said.environment) for said in settings.resources]
    named += [(f"hosts.ssh, {said.name}", said.environment) for said in settings.hosts.ssh]
    for where, environment in [*named, ("hosts.local", settings.hosts.local.environment)]:
        if environment and environment not in known:
            what = f"{where}: the policy has no row for the environment `{environment}`{nearest(environment, known)}"
            advice = "policy.table gives it a row of its own; `watchkeeper policy`."
            yield environment, (f"{what}; that of `production` holds.", advice)


def misnamed(settings: "Settings", registry: "Registry") -> Iterator[Finding]:
    """Entries that match nothing which is found from here, now; without models, of which the server alone hears."""
    heard = [said for said in settings.resources if said.kind != MODEL]
    settings = settings.model_copy(update={"resources": heard})
    if any(not said.ignore and not said.url for said in settings.resources):
        for text in asyncio.run(_misnamed(settings, registry)).splitlines():
            yield Finding("resources", "missing", text, "Until then that entry has no effect.")


async def _misnamed(settings: "Settings", registry: "Registry") -> str:
    async with within_reach(registry, settings) as (fleet, _):
        return fleet.misnamed
