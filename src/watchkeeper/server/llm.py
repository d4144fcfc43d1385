"""`/api/llm`: which language models may plan, what they were asked and said, what it cost, and who is not asked now."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from watchkeeper.decide import ModelPlanner
from watchkeeper.domain import NotFound, now
from watchkeeper.domain.interaction import Interaction, Spent
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import Moment, Page
from watchkeeper.settings.llm import Spending

router = APIRouter(prefix="/api/llm", tags=["llm"])


class LanguageModelView(BaseModel):
    """A model of the chain. `open_until`: its provider's circuit breaker is open until then."""

    name: str
    provider: str
    url: str | None
    key: str | None
    """Where its key is; never the key."""
    failures: int
    open_until: datetime | None
    last_error: str


class LlmView(BaseModel):
    """Who may plan. Without `configured` no model is ever asked."""

    configured: bool
    planner: Literal["auto", "runbooks", "model", "agents"]
    models: list[LanguageModelView]
    today: Spent
    per_day: Spending | None
    per_incident: Spending | None


@router.get("")
async def show_llm(runtime: Here, _: Viewer) -> LlmView:
    """The chain of models, their circuit breakers, and what was spent today (from midnight UTC)."""
    said, model = runtime.settings.llm, runtime.decide.llm
    breakers = {state.provider: state for state in await model.breakers.all()} if model else {}
    models: list[LanguageModelView] = []
    for one in said.models if said and model else ():
        state = breakers.get(one.provider)
        is_open = state is not None and state.open(now()) and state.open_until
        models.append(
            LanguageModelView(
                name=one.name,
                provider=one.provider,
                url=one.url,
                key=one.reference,
                failures=state.failures if state else 0,
                open_until=datetime.fromisoformat(is_open) if is_open else None,
                last_error=state.last_error if state else "",
            )
        )
    return LlmView(
        configured=model is not None,
        planner=runtime.settings.planner,
        models=models,
        today=await model.budget.today(now()) if model else Spent(),
        per_day=said.per_day if said else None,
        per_incident=said.per_incident if said else None,
    )


@router.get("/interactions")
async def list_interactions(
    runtime: Here,
    _: Viewer,
    incident: str | None = None,
    status: Literal["answered", "failed"] | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Moment | None = None,
) -> Page[Interaction]:
    """Each request to a model, without secrets, newest first: what was sent and said, tokens, cost, what the checks
    found."""
    where: dict[str, Any] = {name: value for name, value in (("incident", incident), ("status", status)) if value}
    found = await runtime.store.select(Interaction, limit=limit, before=before, **where)
    return Page(items=found, next=found[-1].at.isoformat() if len(found) == limit else None)


@router.get("/interactions/{key}")
async def show_interaction(key: str, runtime: Here, _: Viewer) -> Interaction:
    """One of them."""
    return await runtime.store.get(Interaction, key)


class Reset(BaseModel):
    """A provider that is asked again from now on."""

    provider: str


@router.post("/breakers/{provider}/reset")
async def close_llm_breaker(provider: str, runtime: Here, who: Operator) -> Reset:
    """Close a provider's circuit breaker: it is asked again at the next incident."""
    model = _there(runtime)
    if provider not in {one.provider for one in model.settings.models}:
        raise NotFound(f"There is no provider {provider!r}.", "`watchkeeper llm` lists them.")
    await model.breakers.reset(provider, who.id)
    return Reset(provider=provider)


def _there(runtime: Runtime) -> ModelPlanner:
    """Raises NotFound."""
    if runtime.decide.llm is None:
        raise NotFound("No language model is configured.", "Say which under `llm:` in watchkeeper.yaml.")
    return runtime.decide.llm
