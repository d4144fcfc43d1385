"""The ways of telling people, one module each."""

from collections.abc import Callable

import httpx

from watchkeeper.notify.channel import Channel
from watchkeeper.notify.channels.apprise import Apprise
from watchkeeper.notify.channels.mail import Mail
from watchkeeper.notify.channels.pagerduty import PagerDuty
from watchkeeper.notify.channels.slack import Slack
from watchkeeper.notify.channels.webhook import Webhook
from watchkeeper.settings import secret
from watchkeeper.settings.notify import AnyChannel, AppriseChannel, MailChannel, PagerDutyChannel, SlackChannel
from watchkeeper.settings.part import REFERENCE


def build(
    said: AnyChannel,
    client: httpx.AsyncClient,
    learn: Callable[[str], None] = lambda _: None,
    *,
    public: bool = False,
) -> Channel:
    """The channel that is configured. `learn` is given every secret; `public`: whether services can call back.

    Raises ConfigurationError where a secret cannot be read, or what it needs is not installed.
    """

    def follow(text: str) -> str:
        value = secret(text) if text.startswith(REFERENCE) else text
        learn(value)
        return value

    if isinstance(said, PagerDutyChannel):
        return PagerDuty(said, follow(said.key), client)
    if isinstance(said, MailChannel):
        return Mail(said, follow(said.password) if said.password else None)
    if isinstance(said, SlackChannel):
        if said.signing_secret:
            follow(said.signing_secret)
        token, url = (follow(text) if text else None for text in (said.token, said.url))
        return Slack(said, token, url, client, buttons=public and said.signing_secret is not None)
    if isinstance(said, AppriseChannel):
        return Apprise(said, [follow(url) for url in said.urls])
    return Webhook(said, follow(said.url), follow(said.secret) if said.secret else None, client)


__all__ = ["Apprise", "Mail", "PagerDuty", "Slack", "Webhook", "build"]
