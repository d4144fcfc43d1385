"""PagerDuty's Events API v2: trigger, acknowledge and resolve; one of its alerts per incident.

developer.pagerduty.com/docs/events-api-v2: 202 is taken; 400 is an event that will never be; 429 and 5xx are tried
again. What is longer than it takes is cut.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from watchkeeper.domain.notification import Answer, Message
from watchkeeper.notify.channel import judged, reached, request, short
from watchkeeper.notify.telling import OVER, PROGRESS, TOLD
from watchkeeper.settings.notify import PagerDutyChannel

SUMMARY = 1024
KEY = 255
CLIENT = "Watchkeeper"
WORKS = frozenset({"fix.started", "approval.approved", "approval.rejected", "incident.acknowledged"})
"""Somebody is at work on it."""
NEEDS_A_PERSON = frozenset({"incident.escalated", "approval.requested", "approval.expired"})
BEGINS = frozenset({"incident.opened", "incident.reopened", "incident.flapping", "alert.firing"})
TROUBLE = {
    "connector.quarantined": "connector.released",
    "watch.blind": "watch.sees",
    "source.silent": "source.tells",
    "channel.silent": "channel.answers",
}
"""What is amiss with Watchkeeper itself, and what tells that it is over."""


class PagerDuty:
    """The key by which PagerDuty knows an alert is the incident's id."""

    kind = "pagerduty"
    hears = TOLD | (PROGRESS & (WORKS | BEGINS))
    collapses = True

    def __init__(self, said: PagerDutyChannel, key: str, client: httpx.AsyncClient) -> None:
        self.name = said.name
        self._url = said.url
        self._key = key
        self._page = said.page
        self._client = client

    @property
    def where(self) -> str:
        return f"{urlsplit(self._url).hostname}, paged {'once opened' if self._page == 'opened' else 'for a person'}"

    async def send(self, message: Message, thread: Mapping[str, str] | None = None) -> Answer:
        """One event, or two: what was acknowledged and needs a person after all is raised anew, for a trigger of what
        is acknowledged already calls nobody."""
        state = (thread or {}).get("state", "")
        action = self._action(message, state)
        if action is None:
            return Answer("passed")
        if action == "trigger" and state == "acknowledged":
            ended = await self._post(self._event("resolve", message))
            if ended.result != "delivered":
                return ended
        answer = await self._post(self._event(action, message))
        if answer.result != "delivered":
            return answer
        after = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}[action]
        return Answer("delivered", f"{action}: {answer.said}", thread={"state": after})

    async def test(self, message: Message) -> Answer:
        """Opens an alert that says it is a test, and resolves it at once."""
        opened = await self._post(self._event("trigger", message))
        if opened.result != "delivered":
            return opened
        return await self._post(self._event("resolve", message))

    async def check(self) -> Answer:
        """PagerDuty tells of a wrong key only where an event is sent."""
        return await reached(self._client, self._url)

    def _action(self, message: Message, state: str) -> str | None:
        kind = message.kind
        if message.incident_id is None:
            if kind in TROUBLE or kind in ("fix.inconclusive", "fix.not_healed", "notification.dead"):
                return "trigger"
            return "resolve" if kind in TROUBLE.values() else None
        if kind in OVER:
            return "resolve" if state in ("triggered", "acknowledged") else None
        if kind in WORKS:
            return "acknowledge" if state == "triggered" else None
        if message.incident is not None and message.incident.status == "closed":
            return None  # over before anybody could be paged
        if kind in NEEDS_A_PERSON:
            return "trigger"
        if kind == "alert.firing" and state == "acknowledged":
            return None  # somebody is at work on it
        if kind in BEGINS and self._page == "opened":
            return "trigger"
        return None

    def _event(self, action: str, message: Message) -> dict[str, Any]:
        event: dict[str, Any] = {
            "routing_key": self._key,
            "event_action": action,
            "dedup_key": short(message.incident_id or self._own_key(message), KEY),
        }
        if action != "trigger":
            return event
        incident = message.incident
        summary = message.text
        if incident is not None and incident.title not in summary:
            summary = f"{incident.title}: {summary}"
        details = {
            "incident": message.incident_id,
            "what": message.kind,
            "resource": message.resource,
            "cause": incident.diagnosis.cause if incident and incident.diagnosis else None,
            "rules": list(message.rules),
            "next": message.following,
            **{key: value for key, value in message.data.items() if key in ("by_hand", "expires_at")},
        }
        payload: dict[str, Any] = {
            "summary": short(summary, SUMMARY),
            "source": message.resource or CLIENT.lower(),
            "severity": message.severity,
            "timestamp": message.at.isoformat(),
            "component": message.slug,
            "group": message.environment,
            "class": message.rules[0] if message.rules else message.kind,
            "custom_details": {key: value for key, value in details.items() if value},
        }
        event["payload"] = {key: value for key, value in payload.items() if value}
        event["client"] = CLIENT
        if link := next(iter(message.links.values()), None):
            event["client_url"] = link
            event["links"] = [{"href": href, "text": text} for text, href in message.links.items()]
        return event

    @staticmethod
    def _own_key(message: Message) -> str:
        about = message.kind.split(".", 1)[0]
        return f"watchkeeper/{about}/{message.subject}"

    async def _post(self, event: Mapping[str, Any]) -> Answer:
        answer = await request(self._client, "POST", self._url, json=event)
        if isinstance(answer, Answer):
            return answer
        found = judged(answer)
        if found.result == "refused":
            return Answer("refused", f"{found.said}: {_why(answer)}")
        return found


def _why(answer: httpx.Response) -> str:
    """PagerDuty's reasons."""
    try:
        said = answer.json()
        return short("; ".join([str(said["message"]), *map(str, said.get("errors", []))]), 300)
    except (ValueError, KeyError, TypeError):
        return "it does not say why"
