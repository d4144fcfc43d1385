"""Which messages go to which channel."""

from collections.abc import Collection

from watchkeeper.domain import Severity
from watchkeeper.domain.notification import Message
from watchkeeper.notify.telling import GROUPS, OVER, PROGRESS
from watchkeeper.settings.notify import ChannelSettings


class Route:
    """What a channel's settings let through; an empty list lets everything through."""

    def __init__(self, said: ChannelSettings) -> None:
        self._severities: Collection[Severity] = said.severities
        self._environments = said.environments
        self._events = said.events

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of events that may have to be told. What of an alert that joins matters only where it may be the
        first that is grave enough."""
        return frozenset(GROUPS) - (frozenset() if self._severities else {"alert.firing"})

    def takes(self, message: Message, *, told: bool) -> bool:
        """`told`: the channel has told of this incident already, and so tells how it goes on."""
        if told:
            return message.kind != "alert.firing" and (message.kind in OVER or self._among(message))
        joins = message.kind == "alert.firing" and message.incident is not None and message.incident.status != "closed"
        if message.kind in PROGRESS and not joins:
            return False
        grave = not self._severities or message.severity in self._severities
        here = not self._environments or not message.environment or message.environment in self._environments
        return grave and here and self._among(message)

    def _among(self, message: Message) -> bool:
        return not self._events or GROUPS.get(message.kind) in self._events
