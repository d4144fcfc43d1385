"""incident → plan → permission. Runbooks and the model sit behind `next_plan`; policy stays in front of every step."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from watchkeeper.connectors import Registry
from watchkeeper.decide import tending
from watchkeeper.decide.amending import Amendments
from watchkeeper.decide.handbook import Handbook
from watchkeeper.decide.hands import Hands
from watchkeeper.decide.history import History
from watchkeeper.decide.lessons import Lessons
from watchkeeper.decide.model import ModelPlanner, Thought
from watchkeeper.decide.modes import Modes
from watchkeeper.decide.policy import Facts, Policy
from watchkeeper.decide.runbooks import RungSkipped, known_cause, plan_from_runbooks, step_of, supposed_cause
from watchkeeper.decide.seat import Seat
from watchkeeper.decide.shell import by_hand
from watchkeeper.decide.windows import Windows
from watchkeeper.domain import (
    Decision,
    Diagnosis,
    Effect,
    Fix,
    Hold,
    Incident,
    NotFound,
    Plan,
    Principal,
    Refused,
    Resource,
    RungStep,
    Standing,
    Step,
    Stop,
    Tool,
    now,
)
from watchkeeper.domain.healer import fights
from watchkeeper.domain.situation import Situation, effect_of
from watchkeeper.settings import LlmSettings, Planner
from watchkeeper.settings.maintenance import MaintenanceSettings
from watchkeeper.store import Store

PAUSED = "paused"
UNHELD = Standing()
SECRET_ARGUMENT = "An argument holds a known secret; records keep none, so it could not be carried out from its record."


class Decide:
    """Who plans, and who permits."""

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        store: Store,
        maintenance: Sequence[MaintenanceSettings] = (),
        seat: Seat | None = None,
        planner: Planner = "runbooks",
        llm: LlmSettings | None = None,
    ) -> None:
        self._registry = registry
        self._seat = seat
        self._model_first = planner == "model"
        self.amendments = Amendments(store, policy)
        self._store = store
        self.tools: Mapping[str, Tool[Any]] = registry.tools
        self.llm = ModelPlanner(llm, registry, self.tools, store) if llm else None
        """The language models: they answer questions, whoever plans."""
        self.model = self.llm if planner in ("auto", "model") else None
        self.lessons = Lessons(registry, store)
        self.handbook = Handbook(registry, store)
        self.windows = Windows(store, maintenance)
        self.modes = Modes(store, policy.mode)
        self.history = History(store, policy.settings, self.tools)
        self.amendments.altered = self._altered
        self.hands = Hands(policy.settings.concurrent_fixes, policy.settings.concurrent_fixes_nearby)

    @property
    def policy(self) -> Policy:
        """As it holds now."""
        return self.amendments.policy

    def _altered(self, policy: Policy) -> None:
        self.history.settings = policy.settings

    async def next_plan(
        self, root: str, incident: Incident, situation: Situation, *, ask: bool = False
    ) -> tuple[Plan | None, tuple[str, ...]]:
        """The next plan for the incident, and what was passed over with why. The one seam for whoever plans.

        A model is asked only with `ask`, which may take as long as its `deadline`; else what it said before stands.
        """
        await self.lessons.load()  # another executor may have been told
        await self.handbook.load()
        if self._seat is not None and not self._seat.then_runbooks:
            return None, (await self._seat.why(incident, self._store),)
        if self.model is None:
            return self._by_runbook(root, incident, situation)
        if self._model_first:
            thought = await self._thought(self.model, incident, situation, ask)
            if thought.plan is not None or thought.nothing is not None or self.model.settings.then == "person":
                return thought.plan, thought.passed
            plan, passed = self._by_runbook(root, incident, situation)
            return plan, (*thought.passed, *passed)
        plan, passed = self._by_runbook(root, incident, situation)
        if plan is not None:
            return plan, passed
        thought = await self._thought(self.model, incident, situation, ask)
        return thought.plan, (*passed, *thought.passed)

    async def _thought(self, model: ModelPlanner, incident: Incident, situation: Situation, ask: bool) -> Thought:
        return await (model.plan if ask else model.remembered)(incident, situation)

    def _by_runbook(self, root: str, incident: Incident, situation: Situation) -> tuple[Plan | None, tuple[str, ...]]:
        return plan_from_runbooks(root, incident, situation, self._registry.runbooks, self.tools)

    async def respecting(self, plan: Plan) -> Plan:
        """The plan as the loop may have it: a person is asked where one took back what was done about the same."""
        said = await self.history.taken_back(plan)
        return replace(plan, confirm=f"{said}.") if said else plan

    def tools_of(self, plan: Plan) -> list[Tool[Any]]:
        """Those of its steps, and where it is a rung of a runbook, those of the whole ladder."""
        ladders = [book.ladder for book in self._registry.runbooks if f"runbook:{book.name}#" in plan.author]
        names = [step.tool for step in plan.steps] + [step.tool for rungs in ladders for rung in rungs for step in rung]
        return [self.tools[name] for name in dict.fromkeys(names)]

    def step(
        self, tool: str, resource: str, arguments: Mapping[str, Any], situation: Situation, why: str
    ) -> Step | None:
        """One call of a tool, where it may be called so now; else None."""
        rung = RungStep(tool, arguments, why=why)
        try:
            return step_of(rung, situation.resources[resource], situation, self.tool(tool))
        except RungSkipped:
            return None

    async def left_to_agents(self, incident: Incident) -> Hold | None:
        """Until when nothing is planned here, for an agent may still hand something in."""
        return await self._seat.hold(incident, self._store, now()) if self._seat else None

    def known(self, root: str, situation: Situation, incident: Incident | None = None) -> Diagnosis | None:
        """What the model, or a runbook, says of the cause where there is nothing to be done about it from here."""
        if self.model is not None and incident is not None and (said := self.model.known(incident)):
            return said
        return known_cause(root, situation, self._registry.runbooks)

    def supposed(self, root: str, situation: Situation, passed: tuple[str, ...]) -> Diagnosis | None:
        """What a runbook says of the cause where all it could do was passed over."""
        return supposed_cause(root, situation, self._registry.runbooks, passed)

    def permit(
        self,
        plan: Plan,
        situation: Situation,
        principal: Principal,
        *,
        approved: bool = False,
        standing: Standing = UNHELD,
    ) -> Decision:
        """What policy says of the plan: its strictest step decides. Effects are computed anew from the situation."""
        counted = dict(standing.changes)
        effects = effect_of(plan, self.tools, situation)
        decisions: list[Decision] = []
        for index, step in enumerate(plan.steps):
            resource = situation.resources.get(step.resource)
            if resource is None:
                decisions.append(Decision("deny", "gone", f"{step.resource} is gone."))
                continue
            if effects[index] is not Effect.READ and self._store.masker.hides(step.arguments):
                decisions.append(Decision("deny", "secret-argument", SECRET_ARGUMENT))
                continue
            revives = self.tool(step.tool).revives
            decisions.append(
                self.policy.decide(
                    effects[index],
                    resource,
                    principal,
                    tool=step.tool,
                    approved=approved,
                    confirm=bool(plan.confirm),
                    facts=Facts(
                        counted.get(step.resource, 0),
                        standing.maintenance.get(step.resource),
                        standing.cooldown.get(step.resource),
                        standing.breakers.get((step.tool, step.resource)),
                        standing.healers.get(step.resource) if revives else None,
                        standing.modes.get(step.resource),
                        revives,
                    ),
                )
            )
            if effects[index] is not Effect.READ:
                counted[step.resource] = counted.get(step.resource, 0) + 1
        strictest = max(decisions, key=lambda decision: (decision.rank, decision.until is None))
        if strictest.policy == "confirm" and plan.confirm:
            strictest = replace(strictest, reason=f"{plan.confirm} {strictest.reason}")
        return replace(strictest, warnings=tuple(dict.fromkeys(said for d in decisions for said in d.warnings)))

    async def standing(
        self,
        plan: Plan,
        situation: Situation,
        near: Sequence[str],
        *,
        incident: str | None = None,
        fix: Fix | None = None,
        agreed_at: datetime | None = None,
    ) -> Standing:
        """What stands beside the table, for every resource of a plan: what was done lately, and what holds.

        `near`: the neighbours of what it touches. `agreed_at`: when a person agreed to it; within a maintenance window
        they knew of it, before it they did not.
        """
        at = now()
        await self.amendments.load()  # another executor may have been told
        windows = await self.windows.standing(at)
        maintenance: dict[str, Hold] = {}
        for resource in situation.resources.values():
            over = [w for w in windows if w.covers(resource, at) and not (agreed_at and agreed_at >= w.begins)]
            if over:
                maintenance[resource.id] = Hold(over[0].ends, over[0].said)
        cooldown = await self.history.cooldown((*plan.resources, *near), incident, at)
        open_ = {
            (step.tool, step.resource): hold
            for step in plan.steps
            if (hold := await self.history.breaker(step.tool, step.resource, at, fix)) is not None
        }
        sets = await self.modes.standing()
        return Standing(
            await self.history.changes(plan.resources, at),
            maintenance,
            dict.fromkeys(plan.resources, cooldown) if cooldown else {},
            open_,
            {key: self.modes.of(key, sets) for key in plan.resources},
            {}
            if fix
            else {**tending.holds(situation, at), **tending.bereft(situation, at)},  # what is begun has waited
        )

    async def stopped(self) -> str | None:
        """Why nothing may be done now, or None. Read from the store before every step."""
        paused = await self._store.setting(PAUSED)
        return f"paused by {paused['by']}" if paused else None

    async def halted(self, fix: str) -> Stop | None:
        """Whether somebody has stopped this fix. Read from the store before every step."""
        return await self._store.find(Stop, fix)

    def tool(self, name: str) -> Tool[Any]:
        """Raises NotFound, which names the nearest."""
        found = self.tools.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.tools, n=1)
            raise NotFound(
                f"There is no tool {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
                "`watchkeeper tools` lists them.",
            )
        return found

    def plan_for(
        self, name: str, resource: Resource, arguments: Mapping[str, Any], principal: Principal, situation: Situation
    ) -> Plan:
        """A plan of one call somebody asks for. Raises WatchkeeperError where it cannot be: wrong arguments, the wrong
        kind of resource, a precondition that does not hold."""
        tool = self.tool(name)
        kind = self._registry.kind_of_tool[name]
        if kind != resource.kind:
            raise Refused(f"{name} works on a {kind}; {resource.slug} is a {resource.kind}.")
        parsed = tool.parse(arguments)
        reading = situation.readings.get(resource.id)
        refusal = fights(tool, situation.healers.get(resource.id, ()))
        if not refusal and reading is not None and tool.effect is not Effect.READ:
            refusal = tool.refusal(reading, parsed)
        if refusal:
            raise Refused(f"{name} is refused: {refusal}", "Nothing was changed.")
        step = Step(
            name,
            resource.id,
            parsed,
            "asked for by hand" if principal.kind == "person" else f"asked for by {principal.id}",
            "",
            tool.effect_on(reading),
        )
        told = by_hand(tool, resource, parsed, reading.facts if reading else {})
        step = replace(step, by_hand=told, in_bytes=tool.in_bytes)
        return Plan(f"{'human' if principal.kind == 'person' else principal.kind}:{principal.name}", (step,), now())
