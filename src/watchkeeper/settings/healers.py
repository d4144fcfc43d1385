"""`healers:` how long whoever else heals is given before anything here starts what it tends."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from watchkeeper.domain import ConfigurationError
from watchkeeper.domain.duration import seconds
from watchkeeper.settings.part import Part


def _seconds(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return seconds(value)
        except ConfigurationError as problem:
            raise ValueError(f"{problem.what} {problem.next_step}") from None
    return value


Wait = Annotated[float | None, BeforeValidator(_seconds), Field(ge=0, le=3600)]


class HealersSettings(Part):
    """Seconds, or a duration (`30s`, `3m`), counted from when the fault was first seen; 0 does not wait. Without one:
    what the healer itself is set to take."""

    docker: Wait = None
    """A restart policy of Docker."""
    systemd: Wait = None
    """`Restart=` of a unit."""
    sentinel: Wait = None
    """Redis Sentinel; without one its own `down-after-milliseconds` and `failover-timeout` together."""
    declared: Wait = None
    """What the label `watchkeeper.healer` names."""
