"""First matching tool, unverified: what a script on an alert does."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httpx

from watchkeeper_lab.api import Alert, read_fix
from watchkeeper_lab.contenders.attempt import Account, Stage
from watchkeeper_lab.loopback import loopback

if TYPE_CHECKING:
    import cel

RUNS = frozenset({"running"})
POLL_SECONDS = 0.1


class FirstMatchingTool:
    """On the first alert it looks up the alert's runbook, calls the first tool of its ladder that may be called there,
    through Watchkeeper's API as a person would, and holds it for healed."""

    name = "first_matching_tool"

    def __init__(self) -> None:
        self._answered: set[tuple[str, str]] = set()

    async def look(self, stage: Stage, account: Account) -> bool:
        """Answer the earliest alert that has not been answered; done once one has been."""
        incidents = await stage.eyes.incidents()
        fired = [alert for one in incidents for alert in one.alerts if (alert.firing_at or 0.0) >= stage.since]
        new = [alert for alert in fired if (alert.rule, alert.resource) not in self._answered]
        for alert in sorted(new, key=lambda alert: alert.firing_at or 0.0):
            account.noticed(alert.resource)
            self._answered.add((alert.rule, alert.resource))
            async with _client(stage) as client:
                if await _answer(client, alert, account):
                    return True
        return bool(account.steps)


def _client(stage: Stage) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {stage.server.token}"}
    return loopback(stage.server.base_url, headers=headers, timeout=60.0)


async def _answer(client: httpx.AsyncClient, alert: Alert, account: Account) -> bool:
    """Call the first tool that may be called; False where the alert has no runbook, or none of its tools may be."""
    rules: list[dict[str, Any]] = (await client.get("/api/rules")).json()["items"]
    runbook = next((rule["runbook"] for rule in rules if rule["rule"] == alert.rule), None)
    if not runbook:
        return False
    ladder: list[list[dict[str, Any]]] = (await client.get(f"/api/runbooks/{runbook}")).json()["ladder"]
    scope = await _scope(client, alert.resource)
    for step in (rung[0] for rung in ladder):
        arguments = _arguments(step.get("with") or {}, scope)
        if arguments is None:
            continue
        body = {"resource": alert.resource, "arguments": arguments}
        answer = await client.post(f"/api/mcp/tools/{step['tool']}", json=body)
        fix = answer.json().get("fix_id") if answer.is_success else None
        if fix and await _carried_out(client, fix, account):
            return True
    return False


async def _carried_out(client: httpx.AsyncClient, fix: str, account: Account) -> bool:
    """Wait until its steps are over, not for the verdict; False where they were refused at the last moment."""
    while True:
        raw: dict[str, Any] = (await client.get(f"/api/fixes/{fix}")).json()
        found = read_fix(raw)
        if found.status not in RUNS:
            break
        await asyncio.sleep(POLL_SECONDS)
    acted = [step for step in found.steps if step.acted]
    account.planned_at = account.planned_at or (found.planned_at if acted else None)
    account.steps += acted
    return bool(acted)


async def _scope(client: httpx.AsyncClient, resource: str) -> "cel.Context":
    """What the arguments of a rung may name: metrics and facts of the last reading."""
    import cel

    found: list[dict[str, Any]] = (await client.get("/api/resources")).json()["items"]
    slug = next((one["slug"] for one in found if one["id"] == resource), "")
    readings = await client.get(f"/api/resources/{slug}/readings", params={"limit": 1}) if slug else None
    items: list[dict[str, Any]] = readings.json()["items"] if readings is not None and readings.is_success else []
    last = items[-1] if items else {}
    metrics = cast(dict[str, float | None], last.get("metrics") or {})
    numbers = {name: float(value) for name, value in metrics.items() if value is not None}
    return cel.Context({"reading": numbers, "facts": dict(last.get("facts") or {}), "state": last.get("state") or ""})


def _arguments(given: dict[str, Any], scope: "cel.Context") -> dict[str, Any] | None:
    """A rung's arguments as values; None where one is not known here."""
    import cel

    known: dict[str, Any] = {}
    for name, value in given.items():
        if not (isinstance(value, str) and value.startswith("= ")):
            known[name] = value
            continue
        try:
            found = cel.compile(value[2:]).execute(scope)
        except Exception:  # whatever it stumbles over, the rung cannot be used
            return None
        if found in (None, ""):
            return None
        known[name] = int(found) if isinstance(found, float) and found.is_integer() else found
    return known
