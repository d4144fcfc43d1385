"""`maintenance:` windows in which nothing is changed by itself."""

from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator, model_validator

from watchkeeper.domain import ConfigurationError
from watchkeeper.domain.duration import seconds
from watchkeeper.settings.part import Part

LONGEST_WINDOW = 7 * 86400.0
"""Seconds that a recurring maintenance window may last."""


class MaintenanceSettings(Part):
    """A window in which nothing is changed by itself: again and again (`cron`, `for`), or once (`from`, `to`)."""

    name: str
    resources: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    reason: str = ""
    cron: str | None = None
    for_: str | float | None = Field(default=None, alias="for")
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None
    zone: str = "UTC"
    quiet: bool = False
    """Messages about these resources are kept back, too, as by a silence."""

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                next(CronSim(value, datetime.now(UTC)))
            except (CronSimError, StopIteration):
                raise ValueError("not a cron expression; for example `0 2 * * sun`: Sundays at 2") from None
            if len(value.split()) != 5:
                raise ValueError("a cron expression has five fields: minute, hour, day, month, day of the week")
        return value

    @field_validator("for_")
    @classmethod
    def _is_duration(cls, value: str | float | None) -> str | float | None:
        if value is not None:
            try:
                length = seconds(value)
            except ConfigurationError as problem:
                raise ValueError(f"{problem.what} {problem.next_step}") from None
            if not 60 <= length <= LONGEST_WINDOW:
                raise ValueError("a window lasts from 1m to 7d; write longer ones with `from` and `to`")
        return value

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone; for example Europe/Berlin or UTC") from None
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        recurring, once = (self.cron, self.for_), (self.from_, self.to)
        if not (all(recurring) and not any(once)) and not (all(once) and not any(recurring)):
            raise ValueError("give either `cron` and `for`, or `from` and `to`")
        if self.from_ and self.to and self.instant(self.from_) >= self.instant(self.to):
            raise ValueError("`to` must be later than `from`")
        return self

    def instant(self, at: datetime) -> datetime:
        """A time as it is written, in UTC: one without an offset is a wall clock's in `zone`."""
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC)
