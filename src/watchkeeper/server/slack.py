"""`/api/notify/slack/actions`: somebody presses a button in Slack. Signed by Slack, and only by those who are known."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx
import structlog
from fastapi import APIRouter, BackgroundTasks, Request

from watchkeeper.domain import Forbidden, Principal, WatchkeeperError
from watchkeeper.notify.channels.blocks import APPROVE, REJECT
from watchkeeper.server.incidents import decide
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, allowed
from watchkeeper.settings import secret
from watchkeeper.settings.notify import SlackChannel

router = APIRouter(prefix="/api/notify", tags=["notify"])
log = structlog.get_logger(__name__)
TOLERANCE = 300
"""Seconds that a request may be old, or from the future: docs.slack.dev, "Verifying requests from Slack"."""
HOOKS = "hooks.slack.com"
"""Where answers to a person go."""


@dataclass(frozen=True)
class Pressed:
    """What somebody asked for by a button."""

    user: str
    action: str
    approval: str
    answer_to: str


@router.post("/slack/actions")
async def slack_actions(request: Request, runtime: Here, later: BackgroundTasks) -> dict[str, str]:
    """Take what Slack sends when somebody approves or rejects by a button. It must be signed by one of the channels'
    signing secrets, within five minutes; who presses must be among `people`."""
    body = await request.body()
    channel = signed_by(runtime, request.headers, body)
    pressed = read(body)
    if pressed is not None:  # Slack waits three seconds; what comes of it is told to whoever pressed
        later.add_task(act, runtime, channel, pressed)
    return {}


def signed_by(runtime: Runtime, headers: Mapping[str, str], body: bytes) -> SlackChannel:
    """The channel whose signing secret signed it, compared in constant time. Raises Forbidden."""
    stamp, shown = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if stamp.isdigit() and len(stamp) < 12 and abs(time.time() - int(stamp)) <= TOLERANCE:
        for channel in runtime.settings.notify.channels:
            if isinstance(channel, SlackChannel) and channel.signing_secret:
                said = b"v0:" + stamp.encode() + b":" + body
                right = "v0=" + hmac.new(secret(channel.signing_secret).encode(), said, hashlib.sha256).hexdigest()
                if hmac.compare_digest(right.encode(), shown.encode()):
                    return channel
    raise Forbidden(
        "That was not signed by Slack for one of the channels, or is older than five minutes.",
        "`signing_secret` is the app's, under Basic Information; the clock here must be right.",
    )


def read(body: bytes) -> Pressed | None:
    """What was pressed; None for what is none of ours, such as a link. Raises Forbidden for what cannot be read."""
    try:
        payload: dict[str, Any] = json.loads(parse_qs(body.decode())["payload"][0])
        if payload["type"] != "block_actions":
            return None
        for action in payload["actions"]:
            if action["action_id"] in (APPROVE, REJECT):
                url = str(payload.get("response_url", ""))
                return Pressed(str(payload["user"]["id"]), action["action_id"], str(action["value"]), url)
    except (ValueError, KeyError, TypeError, IndexError):
        raise Forbidden(
            "That is nothing Slack would send.", "docs/notifications.md tells how the app is set up."
        ) from None
    return None


async def act(runtime: Runtime, channel: SlackChannel, pressed: Pressed) -> None:
    """Decide, as `watchkeeper approve` does, and tell whoever pressed what came of it."""
    to: Literal["approved", "rejected"] = "approved" if pressed.action == APPROVE else "rejected"
    try:
        person = channel.people.get(pressed.user)
        if person is None:
            raise Forbidden(
                f"You ({pressed.user}) are not known to Watchkeeper, so nothing was decided.",
                f"An admin adds you: notify.channels, {channel.name}, people.",
            )
        who = Principal("person", person.name, person.role)
        allowed(runtime, who, "approve", "approve" if to == "approved" else "reject")
        approval = await decide(runtime, pressed.approval, who, to, "in Slack")
    except WatchkeeperError as problem:
        await _answer(channel, pressed, {"response_type": "ephemeral", "replace_original": False, "text": str(problem)})
        return
    except Exception:
        log.exception("a decision in Slack failed", approval=pressed.approval)
        said = "It was not decided: an error of Watchkeeper's own, which its log tells."
        await _answer(channel, pressed, {"response_type": "ephemeral", "replace_original": False, "text": said})
        return
    if channel.token is None or approval.incident is None:  # else the channel itself brings its message up to date
        text = f"{pressed.approval} was {to} by {who.name}."
        await _answer(channel, pressed, {"response_type": "in_channel", "replace_original": True, "text": text})


async def _answer(channel: SlackChannel, pressed: Pressed, said: Mapping[str, Any]) -> None:
    host = urlsplit(pressed.answer_to).hostname
    if host not in (HOOKS, urlsplit(channel.api).hostname):
        log.warning("an answer to a button in Slack cannot be sent there", host=host)
        return
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            (await client.post(pressed.answer_to, json=dict(said))).raise_for_status()
    except httpx.HTTPError as problem:
        log.warning("an answer to a button in Slack could not be sent", problem=type(problem).__name__)
