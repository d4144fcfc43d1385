"""`/api/resources/{slug}/logs/templates`: what a resource's log usually says."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from watchkeeper.domain import Conflict, Level, now
from watchkeeper.server import elsewhere
from watchkeeper.server.resources import watcher_of
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.views import View

router = APIRouter(prefix="/api/resources", tags=["resources"])


class TemplateView(View):
    """`<n>`, `<ip>`, `<time>`, `<id>`, `<hex>` and `<*>` stand where its lines differ."""

    text: str
    level: Level | None
    count: int
    first_at: datetime
    last_at: datetime
    per_minute: float
    example: str


class TemplatesView(View):
    """Learnt since `since`, anew after a restart of Watchkeeper. What was not taken in full is counted."""

    resource: str
    since: datetime | None
    """None where no log of it is followed."""
    lines: int = 0
    sampled: int = 0
    unread: int = 0
    dropped: int = 0
    items: list[TemplateView]
    more: int = 0


@router.get("/{slug}/logs/templates")
async def templates(
    slug: str, runtime: Here, _: Viewer, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> TemplatesView:
    """What its log usually says: its lines clustered into templates, worst level first, then the most frequent."""
    watcher = watcher_of(runtime, slug)
    if watcher is None:
        holder = (await elsewhere.find(runtime, slug))[0].holder or "nobody"
        at = next((member.address for member in await runtime.sharing.members() if member.id == holder), "")
        raise Conflict(f"{slug} is looked at by {holder}, who alone knows its log's templates.", f"Ask it: --url {at}")
    on_it = [key for key, other in runtime.watch.watchers.items() if other.resource.runs_on == watcher.resource.id]
    miners = runtime.watch.listening.miners
    key = next((key for key in (watcher.resource.id, *on_it, watcher.resource.runs_on) if key in miners), None)
    if key is None:  # it has no host here, or a look at it has not begun
        return TemplatesView(resource=watcher.resource.id, since=None, items=[])
    miner, masker = miners[key], runtime.store.masker
    found = miner.templates(now())
    return TemplatesView(
        resource=key,
        since=miner.since,
        lines=miner.lines,
        sampled=miner.sampled,
        unread=miner.unread,
        dropped=miner.dropped,
        more=max(0, len(found) - limit),
        items=[
            TemplateView(
                text=masker.text(one.text),
                level=one.level,
                count=one.count,
                first_at=one.first_at,
                last_at=one.last_at,
                per_minute=one.per_minute,
                example=masker.text(one.example),
            )
            for one in found[:limit]
        ],
    )
