"""What other executors look at: shown from what they have told the store, and done by asking them through it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import structlog
from pydantic import TypeAdapter

from watchkeeper.domain import Health, NotFound, Principal, WatchkeeperError, now
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.sharing import Shared
from watchkeeper.server.status_views import ResourceDetail, StatusView
from watchkeeper.server.views import Submitted, resource_view
from watchkeeper.store.exchange import Exchange

log = structlog.get_logger(__name__)
ANSWERED = 20.0
"""Seconds for which the holder of a resource is waited for."""
FRESH = 10.0
"""Seconds after which what is the same is told again."""
_PRINCIPAL = TypeAdapter(Principal)
_NOBODY = "nobody looks at it now"


async def items(runtime: Runtime, here: Collection[str] | None = None) -> list[tuple[StatusView, ResourceDetail]]:
    """Everything that is not looked at from here, or not among what was when the caller looked."""
    if not isinstance(runtime.sharing, Shared):
        return []
    exchange = Exchange(runtime.store)
    holders, told = await runtime.sharing.holders(), await exchange.standings()
    alive = {member.id for member in await runtime.sharing.members()}
    shown: list[tuple[StatusView, ResourceDetail]] = []
    known = {*holders, *runtime.watch.fleet.resources}
    for key in sorted(known - set(runtime.watch.watchers if here is None else here)):
        if found := _shown(runtime, key, told.get(key, (now(), None))[1], holders.get(key, ""), alive):
            shown.append(found)
    return shown


def _shown(
    runtime: Runtime, key: str, body: Mapping[str, Any] | None, holder: str, alive: set[str]
) -> tuple[StatusView, ResourceDetail] | None:
    if body is not None:
        status, detail = StatusView(**body["status"]), ResourceDetail(**body["detail"])
    elif resource := runtime.watch.fleet.resources.get(key):
        fields = resource_view(resource, Health.UNKNOWN, "not looked at yet", now(), None)
        status = StatusView(**fields, metric=None, alerts=[], maintenance=None, advice=None)
        detail = ResourceDetail(**fields, reading=None, alerts=[], settings={})
    else:
        return None
    if holder not in alive:
        unknown = {"health": Health.UNKNOWN, "state": _NOBODY}
        return status.model_copy(update={**unknown, "holder": None}), detail.model_copy(update=unknown)
    return status.model_copy(update={"holder": holder}), detail


async def find(runtime: Runtime, slug: str) -> tuple[StatusView, ResourceDetail]:
    """By slug or id. Raises NotFound."""
    for status, detail in await items(runtime):
        if slug in (status.slug, status.id):
            return status, detail
    raise NotFound(f"{slug} is not watched (any more).", "`watchkeeper status` lists what is.")


async def ask(runtime: Runtime, resource: str, what: str, body: Mapping[str, Any], who: Principal) -> Submitted:
    """Have the holder of a resource do it, and answer as it does."""
    request = {"what": what, "body": dict(body), "who": _PRINCIPAL.dump_python(who, mode="json")}
    answer = await Exchange(runtime.store).ask(resource, request, ANSWERED)
    if "problem" in answer:
        problem = WatchkeeperError(answer["problem"]["what"], answer["problem"]["next"])
        problem.status = answer["problem"]["status"]
        raise problem
    return Submitted(**answer)


class Clerk:
    """Tells the others how what is held here stands, and does what they ask."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._exchange = Exchange(runtime.store)
        self._told: dict[str, tuple[datetime, Any]] = {}

    async def serve(self) -> None:
        runtime = self._runtime
        for key, request in await self._exchange.take(set(runtime.watch.watchers)):
            await self._exchange.answer(key, await self._done(request))
        await self._exchange.tell(await self._news())

    async def _done(self, request: Mapping[str, Any]) -> Any:
        from watchkeeper.server.acts import take_back
        from watchkeeper.server.incidents import trigger
        from watchkeeper.server.tools import call_tool
        from watchkeeper.server.views import CallTool, Trigger

        who = _PRINCIPAL.validate_python(request["who"])
        try:
            if request["what"] == "trigger":
                done = await trigger(Trigger(**request["body"]), self._runtime, who)
            elif request["what"] == "undo":
                done = await take_back(self._runtime, request["body"]["key"], request["body"]["note"], who)
            else:
                done = await call_tool(request["what"], CallTool(**request["body"]), self._runtime, who)
            return done.model_dump(mode="json")
        except WatchkeeperError as problem:
            return {"problem": {"what": problem.what, "next": problem.next_step, "status": problem.status}}
        except Exception as problem:
            log.exception("what another executor asked for failed")
            return {"problem": {"what": f"An error of ours: {type(problem).__name__}", "next": "", "status": 500}}

    async def _news(self) -> dict[str, Any]:
        from watchkeeper.server.resources import both_views

        at, news = now(), dict[str, Any]()
        for status, detail in await both_views(self._runtime):
            seen = status.model_dump(mode="json", exclude={"metric", "advice"})
            last = self._told.get(status.id)
            if last is None or last[1] != seen or (at - last[0]).total_seconds() > FRESH:
                self._told[status.id] = (at, seen)
                news[status.id] = {
                    "status": status.model_dump(mode="json"),
                    "detail": detail.model_dump(mode="json"),
                }
        return news
