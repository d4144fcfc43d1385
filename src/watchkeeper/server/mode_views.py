"""A mode that was set while it runs, as it is shown."""

from datetime import datetime

from pydantic import BaseModel

from watchkeeper.decide import ModeSet
from watchkeeper.server.runtime import Runtime
from watchkeeper.settings import Mode


class ModeSetView(BaseModel):
    """For everything, or for one resource; `configured` is what the configuration says instead."""

    mode: Mode
    resource: str | None
    slug: str | None
    configured: Mode
    by: str
    at: datetime
    note: str


def mode_set(runtime: Runtime, one: ModeSet) -> ModeSetView:
    known = runtime.watch.fleet.resources.get(one.resource)
    return ModeSetView(
        mode=one.mode,
        resource=one.resource or None,
        slug=known.slug if known is not None else None,
        configured=runtime.decide.modes.configured,
        by=one.said.by,
        at=one.said.at,
        note=one.said.note,
    )
