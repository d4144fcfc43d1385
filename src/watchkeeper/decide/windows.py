"""Maintenance windows: those of the configuration's schedules, and those begun by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from watchkeeper.domain import Resource, Window
from watchkeeper.domain.duration import seconds
from watchkeeper.settings.maintenance import MaintenanceSettings
from watchkeeper.store import Store

BY = "configuration"


@dataclass
class Schedule:
    """One window of the configuration, as often as it comes.

    A `cron` window begins when the wall clock in its zone shows that time, as Debian's cron would: one that falls into
    the hour left out in spring begins right after it, one in the hour that comes twice begins once. It lasts for
    `for`, whatever clocks do meanwhile.
    """

    said: MaintenanceSettings

    def at(self, at: datetime) -> Window | None:
        """The window that covers a time (with a zone), or None. Of several the one that ends last."""
        return self._window(self._covering(at.astimezone(UTC)))

    def next(self, after: datetime) -> Window | None:
        """The next window that begins after a time, or None."""
        if self.said.from_ and self.said.to:
            begins = self.said.instant(self.said.from_)
            return self._window((begins, self.said.instant(self.said.to))) if begins > after else None
        begins = next(iter(self._starts(after)), None)
        return self._window((begins, begins + self._length)) if begins else None

    @property
    def _length(self) -> timedelta:
        return timedelta(seconds=seconds(self.said.for_ or 0))

    def _covering(self, at: datetime) -> tuple[datetime, datetime] | None:
        if self.said.from_ and self.said.to:
            begins, ends = self.said.instant(self.said.from_), self.said.instant(self.said.to)
            return (begins, ends) if begins <= at < ends else None
        first = last = None
        for begins in self._starts(at - self._length):
            if begins > at:
                break
            first, last = first or begins, begins
        return (first, last + self._length) if first and last else None

    def _starts(self, after: datetime) -> Iterable[datetime]:
        """When it begins, after a time, in UTC."""
        for begins in CronSim(self.said.cron or "", after.astimezone(ZoneInfo(self.said.zone))):
            instant = begins.astimezone(UTC)
            if instant > after:
                yield instant

    def _window(self, span: tuple[datetime, datetime] | None) -> Window | None:
        if span is None:
            return None
        return Window(self.said.name, tuple(self.said.resources), *span, self.said.reason, BY, quiet=self.said.quiet)


class Windows:
    """Which windows hold now. Read before every step, so what was ended by hand ends at once."""

    def __init__(self, store: Store, said: Sequence[MaintenanceSettings]) -> None:
        self._store = store
        self._schedules = [Schedule(one) for one in said]
        self._known: dict[str, tuple[datetime, datetime, Window | None]] = {}

    async def standing(self, at: datetime) -> list[Window]:
        """Every window that holds at a time, the one that ends last first."""
        by_hand = [window for window in await self._store.select(Window, status="standing") if window.stands(at)]
        scheduled = [window for schedule in self._schedules if (window := self._remembered(schedule, at))]
        return sorted([*by_hand, *scheduled], key=lambda window: window.ends, reverse=True)

    async def over(self, resource: Resource, at: datetime) -> Window | None:
        """The window over a resource; of several the one that ends last."""
        return next((window for window in await self.standing(at) if window.covers(resource, at)), None)

    def coming(self, at: datetime) -> list[Window]:
        """The next window of each schedule."""
        found = [window for schedule in self._schedules if (window := schedule.next(at))]
        return sorted(found, key=lambda window: window.begins)

    def _remembered(self, schedule: Schedule, at: datetime) -> Window | None:
        """The same as `schedule.at`, worked out anew only when something begins or ends."""
        known = self._known.get(schedule.said.name)
        if known is not None and known[0] <= at < known[1]:
            return known[2]
        window, coming = schedule.at(at), schedule.next(at)
        ends = [window.ends] if window else []
        begins = [coming.begins] if coming else []
        until = min([*ends, *begins], default=at + timedelta(days=1))
        self._known[schedule.said.name] = (at, until, window)
        return window
