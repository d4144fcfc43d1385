"""What `status` and the page of a resource show."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from watchkeeper.domain import Alert, Health, Reading
from watchkeeper.domain.outside import OutsideAlert
from watchkeeper.server.mode_views import ModeSetView
from watchkeeper.server.views import (
    AdviceView,
    BreakerView,
    MetricView,
    ResourceView,
    SilenceView,
    View,
    WindowView,
)


class StatusView(View):
    id: str
    slug: str
    kind: str
    environment: str
    health: Health
    state: str
    since: datetime
    may_act: bool
    metric: MetricView | None
    alerts: list[Alert]
    incident: str | None
    stopped: str = ""
    """What it needs and somebody stopped on purpose, in words, where it alerts and has no incident."""
    part_of: str = ""
    """The root of its incident, by slug, where that is another resource."""
    escalated: str | None = None
    """Why its incident was handed to a person: nothing more is done by itself."""
    to_do: str = ""
    """What a person should do next, where it was handed to one."""
    held: str | None = None
    """What keeps the hands still in its incident, until when, and how a person insists."""
    maintenance: str | None
    """The window over it, in words."""
    silenced: dict[str, str] = Field(default_factory=dict[str, str])
    """Rules whose alerts here people are not told of, with the silence's id."""
    tended_by: list[str] = Field(default_factory=list[str])
    """Who else brings it back, in words."""
    advice: AdviceView | None
    holder: str | None = None
    """The executor that looks at it, where several share one store."""


class ExecutorView(View):
    id: str
    host: str
    pid: int
    address: str
    since: datetime
    holds: int
    here: bool


class StatusPage(BaseModel):
    """A page of what is watched, worst first, and how the watcher itself stands."""

    mode: str
    modes: list[ModeSetView] = Field(default_factory=list[ModeSetView])
    """What was set while it runs, with what the configuration says instead."""
    paused: str | None
    version: str
    problems: dict[str, str]
    maintenance: list[WindowView]
    breakers: list[BreakerView]
    silences: list[SilenceView]
    outside: list[OutsideAlert] = Field(default_factory=list[OutsideAlert])
    """What others told and is taken to fire, the newest first; the first 20."""
    items: list[StatusView]
    next: str | None = None
    """The cursor of the next page, as `after`; null on the last."""
    total: int
    """Everything watched, on whatever page."""
    counts: dict[Health, int]
    """How many of all of them are how."""
    executors: list[ExecutorView] = Field(default_factory=list[ExecutorView])
    """Those that share the store, where it is PostgreSQL; `here` is the one that answers."""


class ResourceDetail(ResourceView):
    reading: Reading | None
    alerts: list[Alert]
    settings: dict[str, Any]
