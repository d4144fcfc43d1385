"""The mode as it holds now: what the configuration says, unless somebody has set another while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.domain import Event, Said
from watchkeeper.settings import Mode
from watchkeeper.store import Store

SETTING = "modes"
CHANGED = "mode.changed"
ALL = ""
"""In the place of a resource's id: everything that has no mode of its own."""
RANK: Mapping[str, int] = {"observe": 0, "approve": 1, "auto": 2}
"""From the strictest to the most permissive."""


@dataclass(frozen=True, slots=True)
class ModeSet:
    """A mode that somebody set, for everything (`resource` is empty) or for one resource, by its id."""

    resource: str
    mode: Mode
    said: Said


class Modes:
    """Read from the store each time: what one executor is told holds on all of them, and after a restart."""

    def __init__(self, store: Store, configured: Mode) -> None:
        self._store = store
        self.configured: Mode = configured

    async def standing(self) -> dict[str, ModeSet]:
        """What was set, by resource."""
        kept: dict[str, dict[str, Any]] = await self._store.setting(SETTING) or {}
        return {
            key: ModeSet(key, one["mode"], Said(one["by"], datetime.fromisoformat(one["at"]), one["note"]))
            for key, one in kept.items()
        }

    def of(self, resource: str, standing: Mapping[str, ModeSet]) -> Mode:
        """What holds for a resource: its own, else the one for everything, else the configuration's."""
        found = standing.get(resource) or standing.get(ALL)
        return found.mode if found is not None else self.configured

    async def overall(self) -> Mode:
        return self.of(ALL, await self.standing())

    async def set(self, resource: str, mode: Mode | None, said: Said, name: str) -> bool:
        """Set it (None: as configured); whether that changed anything. `name` is what the resource is called."""
        async with self._store.transaction() as transaction:
            kept: dict[str, dict[str, Any]] = await self._store.setting(SETTING) or {}
            before = kept.get(resource, {}).get("mode")
            if before == mode:
                return False
            left = {key: one for key, one in kept.items() if key != resource}
            if mode is not None:
                left[resource] = {"mode": mode, "by": said.by, "at": said.at.isoformat(), "note": said.note}
            await transaction.set(SETTING, left)
            about = f" for {name}" if resource else ""
            every = left.get(ALL, {}).get("mode") if resource else None
            to = f"to {mode}; the configuration says {self.configured}" if mode else f"as configured: {self.configured}"
            if every and not mode:
                to = f"as it is for everything: {every}"
            text = f"{said.told.partition(':')[0]} sets the mode{about} {to}" + (f": {said.note}" if said.note else "")
            was = before or f"as configured: {self.configured}"
            data: dict[str, object] = {"from": was, "to": mode, "configured": self.configured, "note": said.note}
            subject = resource or "watchkeeper"
            await transaction.emit(
                Event(CHANGED, subject, text, said.at, said.by, resource=resource or None, data=data)
            )
        return True
