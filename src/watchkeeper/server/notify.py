"""`/api/notify`: how people are told, what waits, and what could not be delivered."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from watchkeeper.domain.notification import Letter, Result
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import Page, View

router = APIRouter(prefix="/api/notify", tags=["notify"])


class ChannelView(View):
    """One channel. `waiting` is what was not delivered yet, `dead` what never will be by itself."""

    name: str
    kind: str
    where: str
    waiting: int
    waiting_since: datetime | None
    dead: int
    problem: str
    """Why it cannot be told anything now; empty where nothing is known to keep it from that."""
    since: datetime | None


class TestedView(View):
    """What came back."""

    channel: str
    result: Result
    said: str


@router.get("/channels")
async def list_channels(runtime: Here, _: Viewer) -> Page[ChannelView]:
    """Every channel with what waits for it."""
    return Page(items=[ChannelView.model_validate(one) for one in await runtime.notifier.standings()])


@router.post("/channels/{name}/test")
async def test_channel(name: str, runtime: Here, who: Operator) -> TestedView:
    """Send a message that says it is a test, and tell what came back."""
    answer = await runtime.notifier.test(name, who)
    return TestedView(channel=name, result=answer.result, said=runtime.store.masker.text(answer.said))


@router.get("/dead")
async def list_dead(
    runtime: Here, _: Viewer, channel: Annotated[str | None, Query(max_length=40)] = None
) -> Page[Letter]:
    """The dead letters: what was refused, newest first; each with why."""
    return Page(items=await runtime.notifier.dead(channel))


@router.post("/dead/retry")
async def retry_all(
    runtime: Here, who: Operator, channel: Annotated[str | None, Query(max_length=40)] = None
) -> Page[Letter]:
    """Send all dead letters again, of one channel or of all; each as it is then: `delivered` or still `dead`."""
    return Page(items=await runtime.notifier.retry(await runtime.notifier.dead(channel), who))


@router.post("/dead/{key}/retry")
async def retry_one(key: str, runtime: Here, who: Operator) -> Letter:
    """Send one again."""
    return (await runtime.notifier.retry([await runtime.notifier.letter(key)], who))[0]


@router.post("/dead/{key}/dismiss")
async def dismiss(key: str, runtime: Here, who: Operator) -> Letter:
    """Nobody needs it any more."""
    return await runtime.notifier.dismiss(await runtime.notifier.letter(key), who)
