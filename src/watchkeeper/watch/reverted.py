"""What a restart took back: what a fix of ours sets at run time stands in no file."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from watchkeeper.store import Store

LASTS = timedelta(days=7)
"""How far back a fix is looked for that had set it."""
BESIDE = timedelta(seconds=30)
"""How far apart a restart and what it brought are noticed."""
SETTINGS = ("change.config", "change.limits")


async def restarted(store: Store, resources: Sequence[str], at: datetime) -> bool:
    """Whether one of them was told to have started anew about then."""
    return bool(await store.happened(("change.restart",), since=at - BESIDE, until=at + BESIDE, resources=resources))


async def set_by(store: Store, resource: str, setting: str, value: str, until: datetime) -> str:
    """The fix that had set it to this value; empty where nobody is known to have, or somebody else did last."""
    for event in reversed(await store.happened(SETTINGS, since=until - LASTS, until=until, resources=(resource,))):
        changes = cast("list[dict[str, str]]", event.data.get("changes") or [])
        change = next((one for one in changes if one["setting"] == setting), None)
        if change is not None and change["after"] == value:
            return str(event.data.get("fix") or "")
    return ""
