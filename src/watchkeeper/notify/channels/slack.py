"""Slack: by a bot's token one message per incident, kept up to date, with what happens in its thread; or an incoming
webhook, which can only add messages.

docs.slack.dev: chat.postMessage, chat.update, auth.test; Block Kit's limits; rate limits (429 with Retry-After).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from watchkeeper.domain.notification import Answer, Message
from watchkeeper.notify.channel import judged, reached, request, short
from watchkeeper.notify.channels.blocks import blocks, line
from watchkeeper.notify.telling import PROGRESS, TOLD
from watchkeeper.settings.notify import SlackChannel

TEXT = 4000
BROKEN: Final = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "service_unavailable",
        "internal_error",
        "fatal_error",
        "request_timeout",
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "no_permission",
        "missing_scope",
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "org_login_required",
        "team_access_not_granted",
        "ekm_access_denied",
    }
)
"""Errors that are about the channel, and not about the message: it waits until they are mended."""
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""The incident's message can be used no more: another one takes its place."""
LOUD = frozenset({"incident.escalated", "approval.requested", "incident.reopened"})
"""Shown in the channel, too, and not only in the thread: somebody is asked for something."""


class Slack:
    """`buttons`: whether approving and rejecting comes back to us, signed."""

    kind = "slack"
    collapses = False

    def __init__(
        self,
        said: SlackChannel,
        token: str | None,
        url: str | None,
        client: httpx.AsyncClient,
        *,
        buttons: bool = False,
    ) -> None:
        self.name = said.name
        self.hears = TOLD | (PROGRESS - {"plan.refused"} if token else frozenset({"alert.firing"}))
        self._token = token
        self._url = url
        self._room = said.channel or ""
        self._api = said.api
        self._client = client
        self._buttons = buttons

    @property
    def where(self) -> str:
        return (
            f"{self._room}, by a bot" if self._token else f"an incoming webhook of {urlsplit(self._url or '').hostname}"
        )

    async def send(self, message: Message, thread: Mapping[str, str] | None = None) -> Answer:
        if self._token is None:
            return await self._hook({"text": self._text(message), "blocks": blocks(message, buttons=self._buttons)})
        if message.incident_id is None:
            return await self._post(self._shown(message))
        if not thread or "ts" not in thread:
            return await self._root(message)
        update = {"channel": thread["channel"], "ts": thread["ts"], **self._shown(message)}
        updated = await self._call("chat.update", update)  # first, for doing it twice does no harm
        if updated.result == "refused" and updated.said in GONE:
            return await self._root(message)
        if updated.result != "delivered":
            return updated
        reply: dict[str, Any] = {"thread_ts": thread["ts"], "text": self._text(message), "blocks": [line(message)]}
        if message.kind in LOUD:
            reply["reply_broadcast"] = True
        told = await self._post(reply, room=thread["channel"])
        return Answer("delivered", told.said, thread=dict(thread)) if told.result == "delivered" else told

    async def test(self, message: Message) -> Answer:
        said = {"text": self._text(message), "blocks": blocks(message, buttons=False)}
        return await (self._post(said) if self._token else self._hook(said))

    async def check(self) -> Answer:
        if self._token is None:
            return await reached(self._client, self._url or "")
        answer = await self._call("auth.test", {})
        if answer.result == "delivered":
            return Answer("delivered", f"{urlsplit(self._api).hostname} knows the token")
        return Answer("refused", answer.said, answered=answer.answered)

    async def _root(self, message: Message) -> Answer:
        """The message that stands for the incident."""
        return await self._post(self._shown(message))

    def _shown(self, message: Message) -> dict[str, Any]:
        return {"text": self._text(message), "blocks": blocks(message, buttons=self._buttons)}

    @staticmethod
    def _text(message: Message) -> str:
        """What notifications on a telephone show."""
        return short(f"[watchkeeper] {message.line}", TEXT)

    async def _post(self, said: Mapping[str, Any], room: str = "") -> Answer:
        more = {"channel": room or self._room, "unfurl_links": False, "unfurl_media": False}
        return await self._call("chat.postMessage", {**more, **said})

    async def _call(self, method: str, body: Mapping[str, Any]) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = await request(self._client, "POST", f"{self._api}/{method}", json=body, headers=headers)
        if isinstance(answer, Answer):
            return answer
        found = judged(answer)
        if found.result != "delivered":
            return found
        try:
            said: dict[str, Any] = answer.json()
        except ValueError:
            return Answer("later", "what answers is not Slack")
        if said.get("ok"):
            known = {name: str(said[name]) for name in ("channel", "ts") if said.get(name)}
            return Answer("delivered", "ok", thread=known or None)
        error = str(said.get("error", "no reason given"))
        return Answer("later" if error in BROKEN else "refused", error)

    async def _hook(self, body: Mapping[str, Any]) -> Answer:
        answer = await request(self._client, "POST", self._url or "", json=body)
        if isinstance(answer, Answer):
            return answer
        found = judged(answer)
        said = f"{found.said}: {short(answer.text, 100)}" if found.result == "refused" else found.said
        return Answer(found.result, said, found.after)
