"""What was learned here: drafts of runbooks, and those that people have accepted, which count as runbooks at once."""

import asyncio
import difflib

import structlog

from watchkeeper.connectors import Registry
from watchkeeper.connectors.definitions import parse_runbook
from watchkeeper.decide.learning import NotDistilled, distilled
from watchkeeper.domain import (
    LOOP,
    Alert,
    ConfigurationError,
    Conflict,
    Event,
    Fix,
    Incident,
    NotFound,
    Runbook,
    Said,
    now,
)
from watchkeeper.domain.draft import Draft
from watchkeeper.store import Store, new_id
from watchkeeper.store.scanning import Scanner

log = structlog.get_logger(__name__)
TEACHES = ("llm", "human", "agent")
"""Whose plans are distilled: runbooks are there already, and a rollout's are its own."""


class Lessons:
    """Rows in the store, so that what was accepted holds after a restart, and for every executor."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self._held: list[Draft] | None = None
        self._learning = asyncio.Lock()
        self.broken: dict[str, str] = {}
        """Of what was accepted and can be used no more (a tool is gone): why."""

    async def load(self) -> None:
        """Those accepted are runbooks from now on, whoever accepted them."""
        accepted = await self._store.select(Draft, status="accepted")
        if accepted == self._held:
            return
        runbooks: list[Runbook] = []
        broken: dict[str, str] = {}
        for draft in reversed(accepted):
            try:
                runbooks.append(self.runbook(draft, draft.text))
            except (ConfigurationError, NotFound) as problem:
                broken[draft.name] = str(problem)
                log.warning("a learned runbook cannot be used", runbook=draft.name, problem=str(problem))
        self._registry.learn(runbooks)
        self._held, self.broken = accepted, broken

    def runbook(self, draft: Draft, text: str) -> Runbook:
        """Checked as any is when it is loaded. Raises ConfigurationError, NotFound."""
        connector = self._registry.kind(draft.kind)
        return parse_runbook(
            text, name=draft.name, kind=draft.kind, sample=self._registry.sample(draft.kind), tools=connector.tools
        )

    async def learn(self, incident: Incident) -> list[Draft]:
        """Drafts of the plans by which it was healed, where a person, an agent or a model made them."""
        made: list[Draft] = []
        if incident.outcome not in ("healed", "by_human"):
            return made
        async with self._learning:
            known = await self._store.select(Draft)
            for fix in await self._fixes(incident):
                if any(fix.id in draft.fixes for draft in known):
                    continue
                draft = await self._drafted(incident, fix, known)
                if draft is not None:
                    made.append(draft)
                    known = [draft, *(one for one in known if one.id != draft.id)]
        return made

    async def _fixes(self, incident: Incident) -> list[Fix]:
        """Its own, and what people did to its resources meanwhile."""
        found = await self._store.select(Fix, incident=incident.id)
        if incident.outcome == "by_human":
            lately = await self._store.select(Fix, incident=None, limit=50)
            found += [fix for fix in lately if incident.opened_at <= fix.started_at <= (incident.closed_at or now())]
        return [
            fix
            for fix in reversed(found)
            if fix.verdict is not None
            and fix.verdict.outcome == "healed"
            and fix.plan.author.partition(":")[0] in TEACHES
            and fix.plan.resources[:1]
            and fix.plan.resources[0] in incident.resources
            and not fix.undo
        ]

    async def _drafted(self, incident: Incident, fix: Fix, known: list[Draft]) -> Draft | None:
        resource = await self._store.resource(fix.plan.resources[0])
        if resource is None:
            return None
        alerts = await self._store.select(Alert, incident=incident.id)
        try:
            lesson = distilled(fix, alerts, resource, self._registry.tools, Scanner(self._store.masker).text)
            like = next((d for d in known if (d.kind, d.likeness) == (resource.kind, lesson.likeness)), None)
            if like is not None:
                await self._store.save(again := like.healed_again(fix.id))
                return again
            draft = Draft(
                id=new_id("draft"),
                name=self._name(lesson.rules[0], known),
                kind=resource.kind,
                status="draft",
                at=now(),
                text=self._store.masker.text(lesson.text),
                author=fix.plan.author,
                incident=incident.id,
                fixes=(fix.id,),
                rules=lesson.rules,
                likeness=lesson.likeness,
                doubts=lesson.doubts,
            )
            self.runbook(draft, draft.text)
        except (NotDistilled, ConfigurationError, NotFound) as why:
            text = f"what {fix.plan.author} did is no runbook ({fix.id}): {why}"
            log.info("no runbook was drafted", fix=fix.id, why=str(why))
            await self._store.emit(Event("runbook.not_drafted", fix.id, text, now(), incident=incident.id))
            return None
        told = f"a runbook is drafted from {fix.plan.author}: watchkeeper runbooks review {draft.id}"
        await self._store.save(draft, Event("runbook.drafted", draft.id, told, now(), LOOP.id, incident=incident.id))
        return draft

    def _name(self, rule: str, known: list[Draft]) -> str:
        taken = {runbook.name for runbook in self._registry.runbooks} | {draft.name for draft in known}
        name, number = f"learned-{rule}", 1
        while name in taken:
            number += 1
            name = f"learned-{rule}-{number}"
        return name

    async def find(self, key: str) -> Draft:
        """By id or name. Raises NotFound, which names the nearest."""
        known = await self._store.select(Draft)
        for draft in known:
            if key in (draft.id, draft.name):
                return draft
        near = difflib.get_close_matches(key, [name for draft in known for name in (draft.id, draft.name)], n=1)
        raise NotFound(
            f"There is no draft {key!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
            "`watchkeeper runbooks review` lists them.",
        )

    async def accept(self, key: str, said: Said, text: str | None = None) -> Draft:
        """A runbook from now on; `text`: as a person has improved it. Raises NotFound, Conflict, ConfigurationError."""
        draft = await self.find(key)
        if draft.status == "accepted" and text is None:
            raise Conflict(f"{draft.name} is accepted already.")
        clean = self._store.masker.text(text if text is not None else draft.text)
        self.runbook(draft, clean)
        return await self._decide(
            draft.decided("accepted", said, clean), f"{said.told} accepts the runbook {draft.name}"
        )

    async def discard(self, key: str, said: Said) -> Draft:
        """No runbook, or none any more; the same is not drafted again. Raises NotFound, Conflict."""
        draft = await self.find(key)
        if draft.status == "discarded":
            raise Conflict(f"{draft.name} is discarded already.")
        return await self._decide(draft.decided("discarded", said), f"{said.told} discards the runbook {draft.name}")

    async def _decide(self, draft: Draft, told: str) -> Draft:
        assert draft.said is not None
        event = Event(f"runbook.{draft.status}", draft.id, told, draft.said.at, draft.said.by, incident=draft.incident)
        await self._store.save(draft, event)
        await self.load()
        return draft
