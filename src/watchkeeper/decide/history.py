"""What policy remembers, read from the events: changes lately, cooldowns after failed fixes, breakers of tools."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.domain import Breaker, Effect, Event, Fix, Hold, Plan, Tool, now
from watchkeeper.domain.restraint import ToolResult, breakers, moment
from watchkeeper.settings import PolicySettings
from watchkeeper.store import Store

HOUR = timedelta(hours=1)
VERDICTS = ("fix.healed", "fix.not_healed", "fix.inconclusive")
RESET = "breaker.reset"
RETRIED = "incident.retried"
TAKEN_BACK = "fix.taken_back"
"""A person took back what a fix of an incident did. Its data: the `aims` of that fix's plan."""
GONE = ("resource.gone", "resource.recreated")
LATELY = 1000
"""Events looked through for what a person took back on one resource."""
EVERYTHING = 100_000
"""Events read at most; an hour has far fewer of these kinds."""


class History:
    """Nothing is kept twice: what was done and what came of it stand in the events, and survive a restart there."""

    def __init__(self, store: Store, settings: PolicySettings, tools: Mapping[str, Tool[Any]]) -> None:
        self._store = store
        self.settings = settings
        """Others once policy is changed while it runs."""
        self._tools = tools

    async def changes(self, resources: Sequence[str], at: datetime) -> dict[str, int]:
        """How many changes each of these has seen within the last hour. Taking back is none, nor is looking."""
        acting = await self._store.events(
            kinds=("fix.step.acting",), resources=tuple(resources), since=at - HOUR, limit=EVERYTHING
        )
        made = {
            (event.subject, event.data.get("index"), event.resource)
            for event in acting
            if not event.data.get("undo") and self._changes(str(event.data.get("tool")))
        }
        return {key: sum(resource == key for _, _, resource in made) for key in resources}

    async def cooldown(self, near: Iterable[str], incident: str | None, at: datetime) -> Hold | None:
        """Whether a fix failed on one of these a short while ago, and nothing has healed there since.

        What failed holds back everything but its own incident, whose next rung comes at once; that one too from when
        it was handed to a person, unless somebody has the loop try again. What failed before a person had an incident
        tried again holds that one back no more; what failed on something that was removed or made anew since, nobody.
        A person's own attempt without an incident holds back nothing.
        """
        length = timedelta(seconds=self.settings.cooldown)
        ends = (*VERDICTS, "incident.escalated", RETRIED, *GONE)
        told = await self._store.events(kinds=ends, since=at - length, limit=EVERYTHING)
        handed: dict[str | None, int] = {}
        insisted = 0
        last: dict[str, Event] = {}
        for event in told:
            if event.kind == "incident.escalated":
                handed[event.incident] = event.seq
            elif event.kind == RETRIED:
                handed.pop(event.incident, None)
                if event.incident == incident and event.by.startswith("person:"):
                    insisted = event.seq
            elif event.kind in GONE:
                last.pop(event.subject, None)
            elif event.kind == "fix.healed" or event.data.get("holds_back"):
                last.update({step["resource"]: event for step in _steps(event)})
        failed = {
            resource: event
            for resource in near
            if (event := last.get(resource)) is not None
            and event.kind != "fix.healed"
            and event.seq > insisted
            and (incident is None or event.incident != incident or handed.get(incident, 0) > event.seq)
        }
        if not failed or not length:
            return None
        where, latest = max(failed.items(), key=lambda item: item[1].seq)
        until = latest.at + length
        insists = f"`watchkeeper retry {incident}` has it go on at once" if incident else "a person may act at any time"
        return Hold(
            until,
            f"cooldown until {moment(until)}: {latest.subject} has failed here or nearby, on {where} ({latest.text}); "
            f"{insists}",
        )

    async def taken_back(self, plan: Plan) -> str:
        """Who took back what was done about the same here, as a person must be asked then; empty where nobody did, or
        somebody has had it tried again or agreed to a fix of it since."""
        if not plan.resources:
            return ""
        kinds = (TAKEN_BACK, RETRIED, *VERDICTS)
        stands = ""
        for event in await self._store.events(kinds=kinds, resources=plan.resources[:1], limit=LATELY, newest=True):
            if event.kind == RETRIED:
                stands = "" if event.by.startswith("person:") else stands
            elif event.kind == TAKEN_BACK:
                stands = event.text if _same_cause(event, plan) else stands
            elif event.data.get("aims") and _same_cause(event, plan):
                stands = ""
        return stands

    async def breakers(self, names: Iterable[str] | None = None, at: datetime | None = None) -> list[Breaker]:
        """The breakers of these tools (None: of all) that are open, or half open."""
        results = await self._results(at or now())
        wanted = sorted(results) if names is None else [name for name in dict.fromkeys(names) if name in results]
        return [found for name in wanted for found in self._open(results[name])]

    async def breaker(self, tool: str, resource: str, at: datetime, fix: Fix | None = None) -> Hold | None:
        """Whether the tool must not be used on a resource now. Half open, one fix at a time tries it."""
        for found in await self.breakers((tool,), at):
            if found.resource not in (None, resource):
                continue
            if not found.half_open(at):
                return Hold(found.half_open_at, found.said)
            if other := await self._trial(tool, fix):
                return Hold(at, f"{tool} is tried again by {other} just now, after {len(found.failures)} failures")
        return None

    async def ended(self, fix: Fix) -> list[Event]:
        """What tells of a fix's verdict, and of a breaker that it opens or closes. To be written with the fix."""
        if fix.verdict is None:
            raise ValueError(f"{fix.id} has no verdict yet")
        outcome, at = fix.verdict.outcome, now()
        steps = [
            {"tool": record.tool, "resource": record.resource, "status": record.status}
            for record in fix.steps
            if self._changes(record.tool) and record.status in ("done", "failed", "unknown") and record.undo_of is None
        ]
        by_hand = fix.principal.kind == "person" and fix.incident is None
        if fix.verdict.hindered:  # which tells nothing of these tools
            steps = [step for step in steps if step["status"] != "failed"]
        holds_back = bool(steps) and outcome != "healed" and not by_hand
        text = f"{fix.plan.author}: {fix.verdict.said} ({'; '.join(fix.verdict.reasons)})"
        data: dict[str, object] = {"steps": steps, "holds_back": holds_back, "aims": list(fix.plan.aims)}
        told = Event(
            f"fix.{outcome}", fix.id, text, at, incident=fix.incident, resource=fix.plan.resources[0], data=data
        )
        events = [told]
        before = await self._results(at)
        for name in dict.fromkeys(str(step["tool"]) for step in steps):
            was = {found.resource for found in self._open(before.get(name, []))}
            then = self._open([*before.get(name, []), *(r for r in _results_of(told) if r.tool == name)])
            for found in then:
                if found.resource not in was:
                    events.append(_breaker_event("opened", name, found.resource, found.said, fix, at))
            for resource in was - {found.resource for found in then}:
                text = f"{name} helped again: its breaker is closed"
                events.append(_breaker_event("closed", name, resource, text, fix, at))
        return events

    async def _results(self, at: datetime) -> dict[str, list[ToolResult]]:
        """By tool, oldest first, without those before its last reset."""
        since = at - timedelta(seconds=self.settings.breaker_within)
        results: dict[str, list[ToolResult]] = {}
        for event in await self._store.events(kinds=(*VERDICTS, RESET), since=since, limit=EVERYTHING):
            if event.kind == RESET:
                results.pop(event.subject, None)
                continue
            for result in _results_of(event):
                results.setdefault(result.tool, []).append(result)
        return results

    def _open(self, results: Sequence[ToolResult]) -> list[Breaker]:
        return breakers(results, self.settings.breaker_failures, self.settings.breaker_reset)

    def _changes(self, tool: str) -> bool:
        known = self._tools.get(tool)
        return known is None or known.effect is not Effect.READ

    async def _trial(self, tool: str, fix: Fix | None) -> str | None:
        """Another fix that is at work with the tool, and began before this one."""
        for other in await self._store.select(Fix, status=("running", "executed", "undoing")):
            earlier = fix is None or (other.started_at, other.id) < (fix.started_at, fix.id)
            if (fix is None or other.id != fix.id) and earlier and any(s.tool == tool for s in other.plan.steps):
                return other.id
        return None


def _same_cause(event: Event, plan: Plan) -> bool:
    """Whether both are for the same alerts; where one does not say for which, it may be."""
    aims: Any = event.data.get("aims") or ()
    return not aims or not plan.aims or bool(set(aims) & set(plan.aims))


def _steps(event: Event) -> list[dict[str, str]]:
    steps: Any = event.data.get("steps") or []
    return list(steps)


def _results_of(event: Event) -> list[ToolResult]:
    """How each tool of a fix turned out, as its verdict tells. No data says nothing of a tool."""
    found: dict[tuple[str, str], ToolResult] = {}
    for step in _steps(event):
        failed = step["status"] == "failed"
        if not failed and (event.kind == "fix.inconclusive" or step["status"] != "done"):
            continue
        why = "it failed" if failed else "it did not help"
        result = ToolResult(
            step["tool"], step["resource"], event.at, failed or event.kind == "fix.not_healed", why, event.subject
        )
        known = found.get((result.tool, result.resource))
        if known is None or result.failed:
            found[result.tool, result.resource] = result
    return list(found.values())


def _breaker_event(kind: str, tool: str, resource: str | None, text: str, fix: Fix, at: datetime) -> Event:
    return Event(f"breaker.{kind}", tool, text, at, incident=fix.incident, resource=resource, data={"tool": tool})
