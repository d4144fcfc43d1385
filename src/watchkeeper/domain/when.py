"""A time as a person writes it: `12h`, `yesterday`, `18:00`, `2026-11-21T18:00`."""

import re
from datetime import datetime, time, timedelta

from watchkeeper.domain.errors import WatchkeeperError

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)$")


def moment_of(text: str, present: datetime | None = None) -> datetime:
    """The time meant, aware. Without a zone it is in the zone of this machine. Raises WatchkeeperError.

    >>> from datetime import UTC
    >>> moment_of("90m", datetime(2026, 11, 22, 8, tzinfo=UTC)).isoformat()
    '2026-11-22T06:30:00+00:00'
    """
    present = present or datetime.now().astimezone()
    said = text.strip().lower()
    midnight = present.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if match := _AGO.match(said):
            return present - timedelta(**{_UNITS[match[2]]: float(match[1])})
        if said in ("today", "yesterday"):
            return midnight - timedelta(days=int(said == "yesterday"))
        if re.match(r"^\d\d?:\d\d$", said):
            clock = time.fromisoformat(f"{said:0>5}")
            at = midnight.replace(hour=clock.hour, minute=clock.minute)
            return at if at <= present else at - timedelta(days=1)
        at = datetime.fromisoformat(text.strip())
        return at if at.tzinfo else at.replace(tzinfo=present.tzinfo)
    except (ValueError, OverflowError):
        raise WatchkeeperError(
            f"{text!r} is no time.", "Write 12h, 30m, 7d, yesterday, today, 18:00 or 2026-11-21T18:00."
        ) from None
