"""Page by page through what happened, however long ago, by what no column of the store tells."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from watchkeeper.domain import Fix, Incident
from watchkeeper.server.runtime import Runtime

E = TypeVar("E", Incident, Fix)
AT_ONCE = 100
"""Rows read between two turns of everything else."""
LOOKED_THROUGH = 1000
"""Rows looked through for one page where few fit; the cursor goes on behind them."""


async def search(
    runtime: Runtime,
    kind: type[E],
    fits: Callable[[E], bool],
    *,
    limit: int,
    before: datetime | None,
    since: datetime | None = None,
    **where: Any,
) -> tuple[list[E], str | None]:
    """Those that fit, newest first, and the cursor of the next page. Where few fit a page may be short, and yet not the
    last: only one without a cursor is."""
    found: list[E] = []
    looked = 0
    while looked < LOOKED_THROUGH:
        rows = await runtime.store.select(kind, limit=min(AT_ONCE, limit), before=before, **where)
        for one in rows:
            if since is not None and _at(one) < since:
                return found, None
            before = _at(one)
            if fits(one):
                found.append(one)
                if len(found) == limit:
                    return found, before.isoformat()
        if len(rows) < min(AT_ONCE, limit):
            return found, None
        looked += len(rows)
    return found, before.isoformat() if before is not None else None


def _at(one: Incident | Fix) -> datetime:
    return one.opened_at if isinstance(one, Incident) else one.started_at


def id_or_slug(runtime: Runtime, named: str | None) -> str | None:
    """The id of what is watched under this slug; else what was said: it may be the id of what is gone."""
    known = next((w.resource.id for w in runtime.watch.watchers.values() if w.resource.slug == named), None)
    return known or named
