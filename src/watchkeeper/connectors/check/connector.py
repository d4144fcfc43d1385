"""The connector for checks that belong to no other resource. What they found is put beside their looks by `watch`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Rule, Runbook, Tool, now
from watchkeeper.settings.checks import CheckSettings


class CheckConnector:
    """Checks of `checks:` that name no resource."""

    kind = "check"
    metric = "check_seconds"
    sample = Reading("local/production/check/orders-come-in", now(), 0.001, {"check_seconds": 0.02}, {}, "as expected")
    tools: Sequence[Tool[Resource]] = ()
    rules: Sequence[Rule] = ()
    runbooks: Sequence[Runbook] = ()

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """One for each check without a resource."""
        checks: Sequence[CheckSettings] = settings.get("checks") or ()
        for check in checks:
            if check.resource is None:
                yield Resource(
                    id=f"local/production/check/{check.name}", slug=check.name.lower(), incarnation=check.said
                )

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[Resource]:
        """Nothing is held open."""
        yield resource

    async def read(self, session: Resource, last: Reading | None) -> Reading:
        """Nothing of its own."""
        return Reading(session.id, now(), 0.0, state="not made yet")

    async def probe(self, session: Resource) -> Probe:
        """It is the check itself that proves."""
        return Probe(session.id, now(), None, 0.0, "nothing besides the check")

    def level(self, line: str) -> Level | None:
        return None


connector = CheckConnector()
