"""Whatever Apprise knows (github.com/caronc/apprise): an extra, for the hundred that have no client of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.domain import ConfigurationError
from watchkeeper.domain.notification import Answer, Message
from watchkeeper.notify.channel import short
from watchkeeper.notify.telling import OVER, TOLD
from watchkeeper.settings.notify import AppriseChannel

TITLE = 200


class Apprise:
    """It says whether all took it, and of those that did not nothing: they are tried again with the others."""

    kind = "apprise"
    hears = TOLD
    collapses = False

    def __init__(self, said: AppriseChannel, urls: Sequence[str]) -> None:
        """Raises ConfigurationError where it is not installed, or does not know a URL."""
        try:
            import apprise
        except ImportError:
            raise ConfigurationError(
                f"The channel {said.name} needs Apprise, which is not installed.", "pip install 'watchkeeper[apprise]'"
            ) from None
        self.name = said.name
        self._all: Any = apprise.Apprise()  # pyright: ignore[reportUnknownMemberType]
        for number, url in enumerate(urls):
            if not self._all.add(url):
                what = f"The channel {said.name}: Apprise knows nothing like the URL behind {said.urls[number]}."
                raise ConfigurationError(what, "Its documentation lists what it knows.")

    @property
    def where(self) -> str:
        return ", ".join(str(server.service_name) for server in self._all)

    async def send(self, message: Message, thread: Mapping[str, str] | None = None) -> Answer:
        title = message.incident.title if message.incident else "Watchkeeper"
        kinds = {"critical": "failure", "warning": "warning", "info": "info"}
        kind = "success" if message.kind in OVER else kinds[message.severity]
        body = "\n".join([message.line, *message.links.values()])
        done = await self._all.async_notify(title=short(title, TITLE), body=body, notify_type=kind)
        return Answer("delivered", "taken") if done else Answer("later", "not taken by all; its log says more")

    async def test(self, message: Message) -> Answer:
        return await self.send(message)

    async def check(self) -> Answer:
        return Answer("delivered", f"{self.where}: it can only be tried by `watchkeeper notify test`")
