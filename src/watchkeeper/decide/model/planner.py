"""Who is asked, one after the other, until a plan passes every check; whatever happens it ends in time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import structlog

from watchkeeper.connectors import Registry
from watchkeeper.decide.model.account import Account, Spent, Unanswered
from watchkeeper.decide.model.answer import Answer
from watchkeeper.decide.model.breaker import Breakers
from watchkeeper.decide.model.budget import Budget
from watchkeeper.decide.model.checks import Case, complaints, diagnosis_of, plan_of
from watchkeeper.decide.model.context import context
from watchkeeper.decide.model.delimiting import Fence, Shown
from watchkeeper.decide.model.looking import Looking
from watchkeeper.decide.model.prompts import prompt
from watchkeeper.decide.model.surroundings import Surroundings
from watchkeeper.domain import ConfigurationError, Diagnosis, Event, Fix, Incident, Plan, Tool, now
from watchkeeper.domain.situation import Situation
from watchkeeper.settings import LlmSettings
from watchkeeper.settings.llm import ModelSettings
from watchkeeper.store import Masker, Store, new_id
from watchkeeper.store.scanning import Scanner

log = structlog.get_logger(__name__)
AUTHOR = "llm:"
REMEMBERED = 200
"""Thoughts that are kept in memory, so that a plan that waits is not thought out again."""
INSTALL = "pip install 'watchkeeper[llm]'"


def made_by_model(plan: Plan) -> bool:
    return plan.author.startswith(AUTHOR)


@dataclass(frozen=True, slots=True)
class Thought:
    """What came of it: a plan, or a diagnosis by which nothing should be done, or neither; and why."""

    plan: Plan | None = None
    nothing: Diagnosis | None = None
    passed: tuple[str, ...] = ()
    answer: Answer | None = None
    shown: Shown | None = None
    seen_at: datetime | None = None
    """When that was so which it was thought about."""
    until: datetime | None = None
    """Where nobody gave a plan: when they may be asked again."""


class ModelPlanner:
    """`around` is handed in once those who watch are there; without it nothing is asked."""

    def __init__(self, settings: LlmSettings, registry: Registry, tools: Mapping[str, Tool[Any]], store: Store) -> None:
        self.settings = settings
        self.budget = Budget(store, settings)
        self.breakers = Breakers(store, settings.breaker_failures, settings.breaker_reset)
        self.around: Surroundings | None = None
        self.traces: Any = None
        """An OpenTelemetry TracerProvider, where traces are wanted."""
        self._registry = registry
        self._tools = tools
        self._store = store
        self._thoughts: dict[tuple[Any, ...], Thought] = {}

    async def load(self) -> None:
        """Load what speaks to models: over a second of work, which in the middle of an incident would hold up looks."""
        if find_spec("pydantic_ai") is not None:
            await asyncio.to_thread(_load)

    async def plan(self, incident: Incident, situation: Situation) -> Thought:
        """Within `deadline` seconds. What was thought before stands until something was tried or refused since."""
        key = _key(incident)
        fixes = await self._store.select(Fix, incident=incident.id)
        case = self._case(incident, situation, fixes)
        known = self._thoughts.get(key)
        if known is not None and (known.until is None or known.until > now()):
            return _fitting(known, case)
        planned = {name for name in (*incident.tried, *incident.refused) if name.startswith(AUTHOR)}
        if len(planned) > self.settings.replans:
            said = f"the language model: it has planned {len(planned)} times, and may not again"
            return Thought(passed=(said,))
        thought = await self._think(case, fixes[::-1], len(planned) + 1)
        self._thoughts[key] = thought
        while len(self._thoughts) > REMEMBERED:
            self._thoughts.pop(next(iter(self._thoughts)))
        return thought

    def known(self, incident: Incident) -> Diagnosis | None:
        """The diagnosis by which nothing should be done, where that was the answer."""
        found = self._thoughts.get(_key(incident))
        return found.nothing if found else None

    async def remembered(self, incident: Incident, situation: Situation) -> Thought:
        """The last plan for the incident that was not tried or refused, without asking anybody."""
        kept = [thought for key, thought in self._thoughts.items() if key[0] == incident.id and thought.plan]
        if not kept or kept[-1].plan is None or kept[-1].plan.key in (*incident.tried, *incident.refused):
            return Thought()
        return _fitting(kept[-1], self._case(incident, situation, await self._store.select(Fix, incident=incident.id)))

    def _case(self, incident: Incident, situation: Situation, fixes: Sequence[Fix]) -> Case:
        tried = {record.tool for fix in fixes for record in fix.steps if record.status not in ("refused", "skipped")}
        kinds, books = self._registry.kind_of_tool, self._registry.runbooks
        return Case(incident, situation, self._tools, kinds, books, frozenset(tried))

    async def _think(self, case: Case, fixes: Sequence[Fix], number: int) -> Thought:
        if self.around is None:
            return Thought(passed=("the language model: it is not ready yet",))
        if find_spec("pydantic_ai") is None:
            return Thought(passed=(f"the language model: its libraries are not there; {INSTALL}",))
        names = ", ".join(model.name for model in self.settings.models)
        await self._tell("llm.asked", case.incident, f"a plan is asked of {names}")
        why: list[str] = []
        thought: Thought | None = None
        try:
            async with asyncio.timeout(self.settings.deadline):
                await asyncio.to_thread(import_module, "watchkeeper.decide.model.asking")
                thought = await self._first(case, fixes, number, why)
        except TimeoutError:
            why.append(f"no plan within {self.settings.deadline:g} s, all models together")
        except Exception as problem:  # an error of ours must not keep runbooks and people from it
            said = self._store.masker.text(f"{type(problem).__name__}: {problem}")
            log.error("the language model could not be asked", incident=case.incident.id, problem=said)
            why.append(f"an error of ours: {said}")
        if thought is None:
            text = f"the language model gave no plan: {'; '.join(why)}"
            await self._tell("llm.failed", case.incident, text)
            again = now() + timedelta(seconds=self.settings.breaker_reset)
            return Thought(passed=(text,), until=again)
        return thought

    async def _first(self, case: Case, fixes: Sequence[Fix], number: int, why: list[str]) -> Thought | None:
        """Of the first model whose answer passes; of each that gave none, why."""
        attempt = new_id("try")
        for model in self.settings.models:
            state = await self.breakers.of(model.provider)
            if state.open(now()):
                why.append(f"{model.name} is not asked: its circuit breaker is open ({state.last_error})")
                continue
            try:
                return await self._ask(model, case, fixes, number, attempt)
            except Spent as problem:
                why.append(f"{model.name}: {problem}")
                await self._tell("llm.spent", case.incident, str(problem))
            except ConfigurationError as problem:
                why.append(f"{model.name}: {problem.what}")
            except Unanswered as problem:
                said = self._store.masker.text(str(problem))
                why.append(f"{model.name}: {said}")
                if problem.of_provider:
                    await self.breakers.failed(model.provider, said[:300])
        return None

    async def _ask(self, model: ModelSettings, case: Case, fixes: Sequence[Fix], number: int, attempt: str) -> Thought:
        from watchkeeper.decide.model.asking import Asked, ask

        assert self.around is not None
        text = prompt("plan")
        scanner = Scanner(self._store.masker, emails=self.settings.mask_email)
        fence = Fence(scanner)
        instructions = text.text.replace("{open}", fence.open).replace("{close}", fence.close)
        room = self.settings.prompt_tokens - FRAME - len(instructions) // 4
        made = await context(case, self.around, fixes, fence, room)
        account = Account(
            self._store,
            self.settings,
            model,
            self.budget,
            scanner,
            text.version,
            attempt,
            case.incident.id,
            traces=self.traces,
        )
        looking = Looking(case, self.around, fence, made.shown)
        asked = Asked(lambda answer: complaints(answer, made.shown, case), looking.look, account)
        answer = await ask(instructions, made.text, asked)
        await self.breakers.answered(model.provider)
        answer = clean(answer, scanner)
        author = f"{AUTHOR}{model.name}#{number}"
        diagnosis = diagnosis_of(answer, made.shown, case, author)
        cited = [self.around.readings(one.resource, one.at)[:1] for one in diagnosis.evidence]
        await self.around.keep([reading for found in cited for reading in found])
        data = {"model": model.name, "prompt": text.version, "attempt": attempt, "masked": scanner.masked}
        if not answer.steps:
            said = f"{author} says that nothing should be done: {answer.nothing}"
            await self._tell("llm.answered", case.incident, said, data)
            diagnosis = replace(diagnosis, reasoning=f"{answer.reasoning} Nothing should be done: {answer.nothing}")
            return Thought(nothing=diagnosis, passed=(said,), answer=answer, shown=made.shown)
        plan = plan_of(answer, made.shown, case, author)
        await self._tell("llm.answered", case.incident, f"{author}: {', '.join(s.tool for s in plan.steps)}", data)
        return Thought(plan, answer=answer, shown=made.shown, seen_at=case.situation.at)

    async def _tell(self, kind: str, incident: Incident, text: str, data: dict[str, Any] | None = None) -> None:
        await self._store.emit(
            Event(kind, incident.id, text, now(), incident=incident.id, resource=incident.root, data=data or {})
        )


def _load() -> None:
    import_module("watchkeeper.decide.model.conversing")
    import_module("watchkeeper.decide.model.asking").load()
    Scanner(Masker()).text("a line of words")  # its detectors


FRAME = 1300
"""Tokens of what goes with every prompt: the schemas of the answer and of the look-up."""


def clean(answer: Answer, scanner: Scanner) -> Answer:
    """What a model says in words may hold what it saw; arguments stay what they are, and policy looks at them."""
    said = {name: scanner.text(getattr(answer, name)) for name in ("cause", "reasoning", "nothing")}
    steps = [one.model_copy(update={"why": scanner.text(one.why), "expected": scanner.text(one.expected)})
             for one in answer.steps]  # fmt: skip
    return answer.model_copy(update=said | {"steps": steps})


def _key(incident: Incident) -> tuple[Any, ...]:
    return incident.id, incident.reopened, incident.joins, incident.tried, incident.refused


def _fitting(thought: Thought, case: Case) -> Thought:
    """The same thought on what is there now; where it does not fit any more, why."""
    if thought.plan is None or thought.answer is None or thought.shown is None:
        return thought
    if found := complaints(thought.answer, thought.shown, case, thought.seen_at):
        return Thought(passed=(f"{thought.plan.author} does not fit any more: {'; '.join(found)}",))
    fresh = plan_of(thought.answer, thought.shown, case, thought.plan.author)
    return replace(thought, plan=replace(fresh, created_at=thought.plan.created_at))
