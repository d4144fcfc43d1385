"""The seam every technology meets: find it, look at it, prove it, act on it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, runtime_checkable

from watchkeeper.domain.plan import Runbook
from watchkeeper.domain.reading import Probe, Reading
from watchkeeper.domain.resource import Host, Level, Resource
from watchkeeper.domain.rule import Rule
from watchkeeper.domain.tool import Tool

S = TypeVar("S")


class Connector(Protocol[S]):
    """One technology. `S` is an open session with one resource."""

    kind: str
    rules: Sequence[Rule]
    runbooks: Sequence[Runbook]
    tools: Sequence[Tool[S]]
    metric: str
    """The metric that matters most, for one line of status."""
    sample: Reading
    """An example of what `read` gives: every metric and fact a rule or runbook may name. Conditions are tried on it."""

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """What of this technology runs on these hosts, or is named in the settings. Never raises for one bad host."""
        ...

    def connect(self, resource: Resource, host: Host | None) -> AbstractAsyncContextManager[S]:
        """An open session, kept open: it is the way in when all slots are taken. Entering must not fail because the
        resource is down: the session reconnects by itself, and `read` tells."""
        ...

    async def read(self, session: S, last: Reading | None) -> Reading:
        """One look; rates come from `last`. A look that failed is a Reading with `error`."""
        ...

    async def probe(self, session: S) -> Probe:
        """The end-to-end check. Writes only where `resource.may_act`."""
        ...

    def level(self, line: str) -> Level | None:
        """The level of a log line in this technology's own format; None where it is not worth keeping."""
        ...


@runtime_checkable
class NamesSettings(Protocol):
    """What a connector may have besides: `settings:` of its resources hold nothing but these keys. `watchkeeper check`
    refuses others; without it anything goes."""

    setting_names: Sequence[str]


@runtime_checkable
class TellsLosses(Protocol):
    """What a connector may have besides: it can tell from readings what a restart has cost."""

    def lost(self, before: Sequence[Reading], after: Sequence[Reading]) -> str:
        """What is gone, in a sentence without its subject (`came back empty: …`); empty where nothing is known to be.
        `before`: readings from before, the newest first; `after`: those since, the newest last. Some may be of looks
        that failed."""
        ...


@runtime_checkable
class ListsClients(Protocol):
    """What a connector may have besides: its server knows who its clients are."""

    async def clients(self, session: Any) -> Sequence[str] | None:
        """The IP addresses of its clients, one for each connection, without those of this session; None where that
        cannot be told. Must not raise for a server that is down. Asked for twice a minute, while nothing alerts."""
        ...


@runtime_checkable
class HearsModels(Protocol):
    """What a connector may have besides: it looks at what model servers push."""

    def hearing(self, predictions: Any) -> Connector[Any]:
        """The same connector, with what takes and keeps the pushes of this server."""
        ...
