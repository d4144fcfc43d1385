"""A circuit breaker for each provider: one that fails is not asked for a while, and everybody can see it."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.domain import LOOP, Event, now
from watchkeeper.store import Store

BREAKERS = "llm.breakers"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """`failures` in a row. While `open_until` lies ahead it is not asked; then once, to see."""

    provider: str
    failures: int = 0
    open_until: str | None = None
    last_error: str = ""

    def open(self, at: datetime) -> bool:
        return self.open_until is not None and datetime.fromisoformat(self.open_until) > at


class Breakers:
    """Kept in the store: a restart closes none."""

    def __init__(self, store: Store, failures: int, reset: float) -> None:
        self._store = store
        self._failures = failures
        self._reset = timedelta(seconds=reset)

    async def all(self) -> list[BreakerState]:
        said: dict[str, dict[str, Any]] = await self._store.setting(BREAKERS, {}) or {}
        return [BreakerState(**one) for one in said.values()]

    async def of(self, provider: str) -> BreakerState:
        return next((one for one in await self.all() if one.provider == provider), BreakerState(provider))

    async def failed(self, provider: str, why: str) -> BreakerState:
        """Counted; at so many in a row, or when it was tried once more in vain, it opens."""
        known = await self.of(provider)
        state = replace(known, failures=known.failures + 1, last_error=why)
        if state.failures < self._failures:
            await self._put(state)
            return state
        until = now() + self._reset
        state = replace(state, open_until=until.isoformat())
        text = f"{provider} is not asked until {until:%H:%M:%S} UTC: {state.failures} failures in a row ({why})"
        await self._put(state, Event("llm.breaker_opened", provider, text, now()))
        return state

    async def answered(self, provider: str) -> None:
        if (await self.of(provider)).failures:
            await self._put(BreakerState(provider))

    async def reset(self, provider: str, by: str = LOOP.id) -> None:
        """Ask it again from now on."""
        text = f"{by} lets {provider} be asked again"
        await self._put(BreakerState(provider), Event("llm.breaker_reset", provider, text, now(), by))

    async def _put(self, state: BreakerState, *events: Event) -> None:
        async with self._store.transaction() as transaction:
            said: dict[str, Any] = dict(await self._store.setting(BREAKERS, {}) or {})
            await transaction.set(BREAKERS, said | {state.provider: asdict(state)})
            for event in events:
                await transaction.emit(event)
