"""Policy as it holds now: what the configuration says, and over it what an admin has set while it runs. The
configuration stays the ground: what is more permissive than it must be meant, and what destroys is never freed here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watchkeeper.decide.policy import Policy
from watchkeeper.domain import Event, Refused, Said, WatchkeeperError
from watchkeeper.domain.plan import Effect
from watchkeeper.domain.policy import Outcome
from watchkeeper.store import Store

SETTING = "policy"
CHANGED = "policy.changed"
RANK: Mapping[str, int] = {"deny": 0, "ask": 1, "allow": 2}
"""From the strictest to the most permissive."""
Cells = Mapping[str, Mapping[str, Outcome]]


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is another than the configuration says; None: as it says."""

    table: Cells = field(default_factory=dict[str, Mapping[str, Outcome]])
    changes_per_hour: int | None = None
    cooldown: float | None = None
    """Seconds."""
    two_people: tuple[str, ...] | None = None

    @property
    def said(self) -> str:
        """For a person."""
        cells = [f"{row}/{effect} {outcome}" for row, found in self.table.items() for effect, outcome in found.items()]
        cells += [f"changes per hour {self.changes_per_hour}"] if self.changes_per_hour is not None else []
        cells += [f"cooldown {self.cooldown:g} s"] if self.cooldown is not None else []
        cells += [f"two people for {', '.join(self.two_people) or 'nothing'}"] if self.two_people is not None else []
        return ", ".join(cells) or "as configured"

    def with_(self, more: "Amendment") -> "Amendment":
        """What the other says over this."""
        rows: dict[str, dict[str, Outcome]] = {row: dict(cells) for row, cells in self.table.items()}
        for row, cells in more.table.items():
            rows.setdefault(row, {}).update(cells)
        return Amendment(
            rows,
            self.changes_per_hour if more.changes_per_hour is None else more.changes_per_hour,
            self.cooldown if more.cooldown is None else more.cooldown,
            self.two_people if more.two_people is None else more.two_people,
        )

    @property
    def kept(self) -> dict[str, Any]:
        return {
            "table": {row: dict(cells) for row, cells in self.table.items()},
            "changes_per_hour": self.changes_per_hour,
            "cooldown": self.cooldown,
            "two_people": list(self.two_people) if self.two_people is not None else None,
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Amendment":
        two = kept["two_people"]
        return cls(kept["table"], kept["changes_per_hour"], kept["cooldown"], None if two is None else tuple(two))


class Loosens(Refused):
    """It is more permissive than the configuration, and nobody said that this is meant."""


class NotHere(WatchkeeperError):
    """What only the configuration may say."""

    status = 403


class Amendments:
    """`policy` is what holds. `altered` is called with it once another does."""

    def __init__(self, store: Store, configured: Policy) -> None:
        self._store = store
        self._kept: Any = None
        self.configured = configured
        self.policy = configured
        self.standing: Amendment | None = None
        self.said: Said | None = None
        self.altered: Callable[[Policy], object] = lambda _: None

    async def load(self) -> None:
        """What the store has: before each decision, for another executor may have been told."""
        kept: dict[str, Any] | None = await self._store.setting(SETTING)
        if kept != self._kept:
            self._hold(kept)

    def looser(self, amendment: Amendment) -> list[str]:
        """In what it is more permissive than the configuration."""
        ground = self.configured
        found: list[str] = []
        for row, cells in amendment.table.items():
            said = ground.table.get(row, ground.table["production"])
            found += [
                f"{row}/{effect} would be {outcome}, the configuration says {said[effect]}"
                for effect, outcome in cells.items()
                if RANK[outcome] > RANK[said[effect]]
            ]
        changes, cooldown, two = amendment.changes_per_hour, amendment.cooldown, amendment.two_people
        limits = ground.settings
        if changes is not None and changes > limits.changes_per_hour:
            found.append(f"{changes} changes an hour, the configuration says {limits.changes_per_hour}")
        if cooldown is not None and cooldown < limits.cooldown:
            found.append(f"a cooldown of {cooldown:g} s, the configuration says {limits.cooldown:g} s")
        if two is not None and (spared := [e.value for e in limits.two_people if e.value not in two]):
            found.append(f"one person would do for {', '.join(spared)}, the configuration wants two")
        return found

    def checked(self, amendment: Amendment, *, meant: bool, note: str) -> Amendment:
        """Without what is as configured anyway. Raises NotHere, Loosens, ConfigurationError."""
        ground = self.configured
        for row, cells in amendment.table.items():
            said = ground.table.get(row, ground.table["production"])
            if cells.get("destructive") == "allow" != said["destructive"]:
                raise NotHere(
                    f"That {row}/destructive needs no person only the configuration may say, while nothing runs.",
                    "Write it under `policy.table` in watchkeeper.yaml.",
                )
        already = self.looser(self.standing) if self.standing else []
        more = [one for one in self.looser(amendment) if one not in already]
        if more and not (meant and note):
            raise Loosens(
                f"That is more permissive than the configuration: {'; '.join(more)}.",
                "Say that it is meant, and why: --loosen --note WHY (`loosen`, `note`), or change watchkeeper.yaml.",
            )
        made = self._without_what_is_so(amendment)
        self.made(made)  # raises where it does not validate
        return made

    async def change(self, amendment: Amendment | None, said: Said) -> bool:
        """Set it (None: as configured); whether that is another than before."""
        wanted = amendment.kept if amendment is not None and amendment != Amendment() else None
        async with self._store.transaction() as transaction:
            kept: dict[str, Any] | None = await self._store.setting(SETTING)
            was = kept["amendment"] if kept else None
            if was == wanted:
                return False
            by = {"by": said.by, "at": said.at.isoformat(), "note": said.note}
            now = {"amendment": wanted, **by} if wanted is not None else None
            await transaction.set(SETTING, now)
            more = self.looser(amendment) if amendment is not None else []
            text = f"{said.told.partition(':')[0]} sets policy to {amendment.said if amendment else 'as configured'}"
            text += f" (more permissive than the configuration: {'; '.join(more)})" if more else ""
            text += f": {said.note}" if said.note else ""
            data: dict[str, object] = {"from": was, "to": wanted, "looser": more, "note": said.note}
            await transaction.emit(Event(CHANGED, "policy", text, said.at, said.by, data=data))
        self._hold(now)
        return True

    async def history(self, limit: int = 50) -> list[Event]:
        """Who changed it; the newest last."""
        return await self._store.events(kinds=(CHANGED,), limit=limit, newest=True)

    async def before(self) -> Amendment | None:
        """What held before the last change. Raises Refused where there was none."""
        told = await self.history(1)
        if not told:
            raise Refused("Policy was not changed while it ran.", "There is nothing to take back.")
        was: Any = told[-1].data["from"]
        return Amendment.of(was) if was else None

    def _hold(self, kept: dict[str, Any] | None) -> None:
        self._kept = kept
        self.standing = Amendment.of(kept["amendment"]) if kept else None
        self.said = Said(kept["by"], datetime.fromisoformat(kept["at"]), kept["note"]) if kept else None
        self.policy = self.made(self.standing) if self.standing else self.configured
        self.altered(self.policy)

    def _without_what_is_so(self, amendment: Amendment) -> Amendment:
        ground = self.configured
        rows: dict[str, Mapping[str, Outcome]] = {}
        for row, cells in amendment.table.items():
            there = ground.table.get(row)
            left: dict[str, Outcome] = {
                e: outcome for e, outcome in cells.items() if there is None or there[e] != outcome
            }
            if left:
                rows[row] = left
        limits = ground.settings
        two = amendment.two_people
        return Amendment(
            rows,
            None if amendment.changes_per_hour == limits.changes_per_hour else amendment.changes_per_hour,
            None if amendment.cooldown == limits.cooldown else amendment.cooldown,
            None if two is not None and set(two) == {e.value for e in limits.two_people} else two,
        )

    def made(self, amendment: Amendment) -> Policy:
        """The policy it becomes. Raises ConfigurationError where it does not validate."""
        ground = self.configured.settings
        table = {row: dict(cells) for row, cells in ground.table.items()}
        for row, cells in amendment.table.items():
            table.setdefault(row, {}).update({Effect(effect): outcome for effect, outcome in cells.items()})
        said: dict[str, Any] = {"table": table}
        if amendment.changes_per_hour is not None:
            said["changes_per_hour"] = amendment.changes_per_hour
        if amendment.cooldown is not None:
            said["cooldown"] = amendment.cooldown
        if amendment.two_people is not None:
            said["two_people"] = [Effect(effect) for effect in amendment.two_people]
        return Policy(ground.model_copy(update=said), self.configured.mode)
