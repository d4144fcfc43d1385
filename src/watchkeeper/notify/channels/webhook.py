"""JSON to a URL, signed as Standard Webhooks (standardwebhooks.com) has it, where there is a secret."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from watchkeeper.domain.notification import Answer, Message
from watchkeeper.notify.channel import judged, reached, request
from watchkeeper.notify.telling import TOLD
from watchkeeper.settings.notify import WebhookChannel

PREFIX = "whsec_"


class Webhook:
    """POSTs `{"id", "kind", "text", "incident", "resource", "at", "severity", "environment", "data", "links"}`.

    The text field is what Slack-compatible receivers show.
    """

    kind = "webhook"
    hears = TOLD
    collapses = False

    def __init__(self, said: WebhookChannel, url: str, secret: str | None, client: httpx.AsyncClient) -> None:
        self.name = said.name
        self._url = url
        self._key = key_of(secret) if secret else None
        self._client = client

    @property
    def where(self) -> str:
        return (urlsplit(self._url).hostname or "?") + (", signed" if self._key else "")

    async def send(self, message: Message, thread: Mapping[str, str] | None = None) -> Answer:
        return await self._post(body(message), f"wk-{message.id}")

    async def test(self, message: Message) -> Answer:
        return await self._post(body(message), f"wk-test-{int(message.at.timestamp())}")

    async def check(self) -> Answer:
        return await reached(self._client, self._url)

    async def _post(self, said: Mapping[str, Any], key: str) -> Answer:
        content = json.dumps(said, ensure_ascii=False, separators=(",", ":"), default=str).encode()
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers |= signed(self._key, key, int(time.time()), content)
        answer = await request(self._client, "POST", self._url, content=content, headers=headers)
        return answer if isinstance(answer, Answer) else judged(answer)


def body(message: Message) -> dict[str, Any]:
    """As JSON; the id is the same whenever the same message comes again."""
    return {
        "id": message.id,
        "kind": message.kind,
        "text": f"[watchkeeper] {message.line}",
        "incident": message.incident_id,
        "resource": message.resource,
        "at": message.at.isoformat(),
        "severity": message.severity,
        "environment": message.environment,
        "data": dict(message.data),
        "links": dict(message.links),
    }


def key_of(secret: str) -> bytes:
    """The key: what is behind `whsec_`, in base64; anything else is taken as it is."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def signed(key: bytes, message: str, at: int, content: bytes) -> dict[str, str]:
    """The headers: HMAC-SHA256 over `id.timestamp.body`, in base64. `at`: seconds since 1970."""
    signature = hmac.new(key, f"{message}.{at}.".encode() + content, hashlib.sha256).digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
