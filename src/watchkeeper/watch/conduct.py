"""How each connector behaves: what raises, gives garbage, blocks or leaks is quarantined, named and told.

A connector is code of others in our process. Each of its calls is driven step by step, so that it is known whose code
the event loop is in; one that blocks it is cut off. A look that failed because the service is down is no offence.
"""

import asyncio
import types
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

import structlog

from watchkeeper.domain import ConfigurationError, Connector, Resource, WatchkeeperError, now
from watchkeeper.telemetry.watchdog import Blocked, meter
from watchkeeper.watch import checked
from watchkeeper.watch.checked import Garbage

log = structlog.get_logger(__name__)
T = TypeVar("T")
STRIKES = 3
"""Grave offences (blocking, not to be cancelled, discovering without end, leaking) within WINDOW that are too many."""
WINDOW = 600.0
STREAK = 20
"""Looks, of whatever resource, that all raised or gave garbage, without a good one between, over STREAK_SECONDS."""
STREAK_SECONDS = 10.0
FIRST = 60.0
"""Seconds of the first quarantine; each that follows is twice as long."""
LONGEST = 600.0
PROBATION = 120.0
"""Seconds of good conduct after a quarantine until it counts as over."""
GRACE = 1.0
"""Seconds that code which was cancelled may take to end."""
NAMED = 30.0
"""Seconds for which an offence that was not enough for a quarantine is named as a problem."""
MOST_FOUND = 50_000
"""Resources taken from one discovery."""

Told = Callable[[str, str, str], None]
"""Called with an event's kind, the connector's, and what is to be said."""


def untold(kind: str, connector: str, text: str) -> None:
    """For whoever watches alone, with nobody to tell."""


Standing = Literal["good", "probation", "quarantined"]
_ORDINARY = (OSError, TimeoutError, WatchkeeperError)
"""What it is to be expected that a look raises where the service is down."""


class Stubborn(Exception):
    """It did not let itself be cancelled."""


@dataclass
class Conduct:
    """Of one connector. Seconds are the event loop's time."""

    kind: str
    told: Told
    first: float = FIRST
    streak_seconds: float = STREAK_SECONDS
    standing: Standing = "good"
    reason: str = ""
    since: datetime | None = None
    until: float = 0.0
    offences: dict[str, int] = field(default_factory=dict[str, int])
    """How often, by what it did."""
    last_offence: str = ""
    _strikes: deque[float] = field(default_factory=deque[float])
    _noted_at: float = 0.0
    _streak: int = 0
    _streak_began: float = 0.0
    _length: float = 0.0

    @property
    def quarantined(self) -> bool:
        """Whether it must not be called now. After its time it is tried again."""
        if self.standing == "quarantined" and _time() >= self.until:
            self.standing, self.until = "probation", _time() + PROBATION
            log.info("a quarantined connector is tried again", connector=self.kind)
        return self.standing == "quarantined"

    @property
    def problem(self) -> str | None:
        """For a person; None while there is nothing to say."""
        if self.quarantined:
            wait = max(0.0, self.until - _time())
            return (
                f"quarantined ({self.reason}); its resources are not looked at. It is tried again in {wait:.0f} s, "
                f"or at once by `watchkeeper connectors release {self.kind}`."
            )
        if self.standing == "probation":
            return f"on probation after its quarantine ({self.reason})"
        return self.last_offence if self.last_offence and _time() - self._noted_at < NAMED else None

    async def call(self, what: str, function: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Its answer. Raises what it raises; TimeoutError after `seconds`, also where it blocks; Stubborn."""
        try:
            async with asyncio.timeout(seconds):
                return await _driven(self, what, function)
        except Blocked as cut:
            raise TimeoutError(f"{what} blocked everything for {cut.seconds:.1f} s and was cut off") from None
        except Stubborn:
            self.strike("stubborn", f"{what} does not let itself be cancelled")
            raise TimeoutError(f"no answer within {seconds:g} s, and it did not let itself be cancelled") from None

    async def discover(
        self, connector: Connector[Any], hosts: Any, settings: Any, seconds: float
    ) -> tuple[list[Resource], Exception | None]:
        """What it finds, checked, and what kept it from finding the rest. Raises ConfigurationError."""
        found: list[Resource] = []

        async def collect() -> None:
            stream: AsyncIterator[Any] = connector.discover(hosts, settings)
            async for item in stream:
                found.append(checked.resource(item))
                if len(found) >= MOST_FOUND:
                    raise Garbage(f"discover finds more than {MOST_FOUND} resources")
                if len(found) % 500 == 0:
                    await asyncio.sleep(0)  # others have their turn

        try:
            await self.call("discover", collect, seconds)
        except ConfigurationError:
            raise
        except Exception as problem:
            if len(found) >= MOST_FOUND or isinstance(problem, TimeoutError):
                self.strike("endless", f"discover did not end within {seconds:g} s ({len(found)} resources)")
            elif not isinstance(problem, _ORDINARY):
                self.note("raised" if not isinstance(problem, Garbage) else "garbage", f"discover: {_said(problem)}")
            return found if len(found) < MOST_FOUND else [], problem
        return found, None

    # Judging -----------------------------------------------------------------------------------------------------

    def good(self) -> None:
        """It did what its contract says."""
        self._streak = 0
        if self.standing == "probation" and _time() >= self.until:
            self.standing, self.reason, self.since, self._length = "good", "", None, 0.0
            self._strikes.clear()
            self.told("connector.released", self.kind, f"the connector {self.kind} behaves again")

    def failed(self, what: str, problem: Exception) -> None:
        """A call raised. What is to be expected while a service is down is no offence."""
        if isinstance(problem, _ORDINARY):
            return
        self.note("garbage" if isinstance(problem, Garbage) else "raised", f"{what}: {_said(problem)}")
        if self._streak == 0:
            self._streak_began = _time()
        self._streak += 1
        enough = STREAK if self.standing == "good" else STRIKES
        if self._streak >= enough and _time() - self._streak_began >= self.streak_seconds:
            self.quarantine(f"{self._streak} calls in a row failed by a fault of its own; the last: {_said(problem)}")

    def note(self, offence: str, said: str) -> None:
        """Count an offence that alone is not enough."""
        self.offences[offence] = self.offences.get(offence, 0) + 1
        if self.last_offence != said:
            log.warning("a connector misbehaves", connector=self.kind, offence=offence, said=said)
        self.last_offence, self._noted_at = said, _time()

    def strike(self, offence: str, said: str) -> None:
        """A grave offence: others suffered."""
        self.note(offence, said)
        present = _time()
        self._strikes.append(present)
        while self._strikes and present - self._strikes[0] > WINDOW:
            self._strikes.popleft()
        if self.standing == "probation" or len(self._strikes) >= STRIKES:
            self.quarantine(said)

    def quarantine(self, reason: str) -> None:
        if self.standing == "quarantined":
            return
        self._length = min(LONGEST, self._length * 2 or self.first)
        self.standing, self.reason, self.since = "quarantined", reason, now()
        self.until = _time() + self._length
        self._strikes.clear()
        self._streak = 0
        again = f"it is tried again in {self._length:.0f} s, or by `watchkeeper connectors release {self.kind}`"
        log.error("a connector is quarantined", connector=self.kind, reason=reason)
        self.told("connector.quarantined", self.kind, f"the connector {self.kind} is quarantined: {reason}; {again}")

    def release(self, by: str) -> None:
        """Somebody has mended it."""
        self.standing, self.reason, self.since, self._length, self._streak = "good", "", None, 0.0, 0
        self._strikes.clear()
        log.info("a connector was released", connector=self.kind, by=by)


@types.coroutine
def _driven(conduct: Conduct, what: str, function: Callable[[], Any]) -> Generator[Any, Any, Any]:
    """Await what the function makes, with each of its steps under the meter."""
    mark = (conduct, what)
    steps: Any = None
    thrown: BaseException | None = None
    grace: asyncio.TimerHandle | None = None
    overdue: list[bool] = []
    try:
        while True:
            try:
                meter.enter(mark)
                if steps is None:
                    steps = _steps(function())
                waits = steps.send(None) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            finally:
                meter.leave()
            if grace is not None and _goes_on():  # a time limit of its own was over, and it saw to that
                grace.cancel()
                grace = None
                overdue.clear()
            try:
                yield waits
                thrown = None
            except asyncio.CancelledError as cancelled:
                if overdue:
                    _abandon(steps)
                    raise Stubborn from None
                thrown = cancelled
                grace = grace or _in_grace(overdue)
            except BaseException as raised:
                thrown = raised
    finally:
        if grace is not None:
            grace.cancel()


def _steps(made: Any) -> Any:
    if isinstance(made, Coroutine):
        return made  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(made, Awaitable):
        raise Garbage(f"it gave a {type(made).__name__} where something to await is due")
    return made.__await__()  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]


def _goes_on() -> bool:
    """Whether nobody wants the task to end: what was cancelled was a part of it, by itself (`asyncio.timeout`)."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _in_grace(overdue: list[bool]) -> asyncio.TimerHandle:
    task = asyncio.current_task()

    def over() -> None:
        overdue.append(True)
        if task is not None:
            task.cancel()

    return asyncio.get_running_loop().call_later(GRACE, over)


def _abandon(steps: Any) -> None:
    """What would not end is left where it is."""
    if task := asyncio.current_task():
        task.uncancel()
    with suppress(Exception):
        steps.close()


def _said(problem: BaseException) -> str:
    return checked.text(f"{type(problem).__name__}: {problem}")[:300]


def _time() -> float:
    return asyncio.get_running_loop().time()
