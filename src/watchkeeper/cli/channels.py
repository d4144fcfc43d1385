"""Whether each channel by which people are told answers, and what could not be delivered."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from watchkeeper.cli.finding import Finding
from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    from watchkeeper.domain.notification import Answer
    from watchkeeper.settings import Settings
    from watchkeeper.settings.notify import AnyChannel

SOUND = ("http://", "https://", "env:", "file:")


def channels(settings: "Settings", options: Options) -> Iterator[Finding]:
    """Nothing is told: `watchkeeper notify test` does that."""
    said = settings.notify.all_channels
    if not said:
        advice = (
            "notify: {webhook: {url: env:NAME}} in watchkeeper.yaml: it is told of incidents and of what waits for you."
        )
        yield Finding("webhook", "missing", "none: nobody is told where they look", advice)
        return
    hook = settings.notify.webhook
    if hook is not None and not hook.url.startswith(SOUND):
        advice = "Write https://…, env:NAME or file:PATH."
        yield Finding("webhook", "broken", "notify.webhook.url is no URL", advice)
        said = settings.notify.channels
    for channel, answer in asyncio.run(_checked(said)):
        if answer.result == "delivered":
            yield Finding("channel", "ok", f"{channel.name}: {answer.said}")
        else:
            advice = "What is to be told waits until it answers. `watchkeeper notify test` tries it."
            yield Finding("channel", "missing", f"{channel.name} ({channel.kind}): {answer.said}", advice)
    yield from undelivered(options)


async def _checked(said: "list[AnyChannel]") -> "list[tuple[AnyChannel, Answer]]":
    import httpx

    from watchkeeper.domain.errors import ConfigurationError
    from watchkeeper.domain.notification import Answer
    from watchkeeper.notify.channels import build

    async def check(channel: "AnyChannel", client: httpx.AsyncClient) -> "tuple[AnyChannel, Answer]":
        try:
            return channel, await build(channel, client).check()
        except ConfigurationError as problem:  # what `credentials` tells
            return channel, Answer("refused", problem.what)

    async with httpx.AsyncClient() as client:
        return await asyncio.gather(*(check(channel, client) for channel in said))


def undelivered(options: Options) -> Iterator[Finding]:
    """What the running server could not deliver."""
    from watchkeeper.domain.errors import WatchkeeperError

    try:
        with options.client() as client:
            items = client.get("/api/notify/channels")["items"]
    except WatchkeeperError:
        return
    for item in items:
        if item["problem"]:
            found = f"{item['name']}: {item['waiting']} wait: {item['problem']}"
            yield Finding("channel", "missing", found, "They are sent once it answers, in order.")
        if item["dead"]:
            found = f"{item['name']}: {item['dead']} could not be delivered"
            yield Finding("channel", "missing", found, "watchkeeper notify dead, then: watchkeeper notify retry")
