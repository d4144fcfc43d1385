"""Real HTTP servers on loopback that speak as their vendors do, and refuse what those would refuse."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int = 200
    body: Any = None
    headers: tuple[str, ...] = ()


class Loopback:
    """Answers as `judge` says; before that, as it is told in `answers`. Keeps what it was asked."""

    def __init__(self, judge: Callable[[Asked], Said]) -> None:
        self.judge = judge
        self.answers: list[Said] = []
        self.asked: list[Asked] = []
        self.url = ""
        self._came = asyncio.Condition()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Loopback"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def until(self, number: int) -> list[Asked]:
        """Once so many requests came that were answered as the vendor would."""
        async with asyncio.timeout(60), self._came:
            await self._came.wait_for(lambda: len(self.asked) >= number)
        return self.asked

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                await self._answer(Asked(method, path, headers, body), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        forced = self.answers.pop(0) if self.answers else None
        said = forced or self.judge(asked)
        content = b"" if said.body is None or asked.method == "HEAD" else json.dumps(said.body).encode()
        more = "".join(f"{line}\r\n" for line in said.headers)
        head = f"HTTP/1.1 {said.status} Said\r\nContent-Type: application/json\r\n{more}"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        if forced is None:
            async with self._came:
                self.asked.append(asked)
                self._came.notify_all()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


# PagerDuty -----------------------------------------------------------------------------------------------------------
# developer.pagerduty.com, "Events API v2", "Send an alert event", and its PD-CEF.


class PagerDutyPayload(Strict):
    summary: str = Field(min_length=1, max_length=1024)
    source: str = Field(min_length=1)
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: AwareDatetime | None = Field(default=None, strict=False)
    component: str | None = Field(default=None, min_length=1)
    group: str | None = Field(default=None, min_length=1)
    class_: str | None = Field(default=None, alias="class", min_length=1)
    custom_details: dict[str, Any] | None = None


class PagerDutyLink(Strict):
    href: AnyHttpUrl = Field(strict=False)
    text: str | None = None


class PagerDutyEvent(Strict):
    routing_key: str = Field(pattern=r"^[0-9A-Za-z]{32}$")
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: str | None = Field(default=None, min_length=1, max_length=255)
    payload: PagerDutyPayload | None = None
    client: str | None = None
    client_url: AnyHttpUrl | None = Field(default=None, strict=False)
    links: list[PagerDutyLink] | None = None
    images: list[dict[str, str]] | None = None

    @model_validator(mode="after")
    def _as_the_action_wants(self) -> "PagerDutyEvent":
        if self.event_action == "trigger" and self.payload is None:
            raise ValueError("'payload' is missing or blank")
        if self.event_action != "trigger" and self.dedup_key is None:
            raise ValueError("'dedup_key' is missing or blank")
        return self


class FakePagerDuty(Loopback):
    """Keeps alerts by their key, as PagerDuty does: a trigger of one that is acknowledged pages nobody."""

    def __init__(self) -> None:
        super().__init__(self._judge)
        self.alerts: dict[str, str] = {}
        self.paged: list[str] = []
        """The summary of every page that went out."""

    def _judge(self, asked: Asked) -> Said:
        if asked.method == "HEAD":
            return Said(405)
        if (asked.method, asked.path) != ("POST", "/v2/enqueue"):
            return Said(404)
        try:
            event = PagerDutyEvent.model_validate(asked.json)
        except ValidationError as problem:
            errors = [str(error["msg"]) for error in problem.errors()]
            return Said(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})
        key = event.dedup_key or "made up"
        if event.event_action == "trigger" and self.alerts.get(key, "resolved") == "resolved":
            assert event.payload is not None
            self.paged.append(event.payload.summary)
            self.alerts[key] = "triggered"
        elif event.event_action == "acknowledge" and self.alerts.get(key) == "triggered":
            self.alerts[key] = "acknowledged"
        elif event.event_action == "resolve" and key in self.alerts:
            self.alerts[key] = "resolved"
        return Said(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    @property
    def actions(self) -> list[str]:
        """What it was asked to do, in order."""
        return [asked.json["event_action"] for asked in self.asked if asked.method == "POST"]


# Slack ---------------------------------------------------------------------------------------------------------------
# docs.slack.dev/reference/block-kit and /reference/methods: of Block Kit what we use, with its limits.


class Plain(Strict):
    type: Literal["plain_text"]
    text: str = Field(min_length=1, max_length=3000)
    emoji: bool | None = None


class Mrkdwn(Strict):
    type: Literal["mrkdwn"]
    text: str = Field(min_length=1, max_length=3000)


class Confirm(Strict):
    title: Plain
    text: Plain
    confirm: Plain
    deny: Plain

    @model_validator(mode="after")
    def _limits(self) -> "Confirm":
        limits = ((self.title, 100), (self.text, 300), (self.confirm, 30), (self.deny, 30))
        if any(len(part.text) > most for part, most in limits):
            raise ValueError("invalid_blocks")
        return self


class Button(Strict):
    type: Literal["button"]
    text: Plain
    action_id: str = Field(max_length=255)
    value: str | None = Field(default=None, max_length=2000)
    url: str | None = Field(default=None, max_length=3000)
    style: Literal["primary", "danger"] | None = None
    confirm: Confirm | None = None

    @model_validator(mode="after")
    def _limits(self) -> "Button":
        if len(self.text.text) > 75:
            raise ValueError("invalid_blocks")
        return self


class Header(Strict):
    type: Literal["header"]
    text: Plain

    @model_validator(mode="after")
    def _limits(self) -> "Header":
        if len(self.text.text) > 150:
            raise ValueError("invalid_blocks")
        return self


class Section(Strict):
    type: Literal["section"]
    text: Mrkdwn | None = None
    fields: list[Mrkdwn] | None = Field(default=None, min_length=1, max_length=10)

    @model_validator(mode="after")
    def _limits(self) -> "Section":
        if (self.text is None) == (self.fields is None) or any(len(one.text) > 2000 for one in self.fields or []):
            raise ValueError("invalid_blocks")
        return self


class Actions(Strict):
    type: Literal["actions"]
    elements: list[Button] = Field(min_length=1, max_length=25)

    @model_validator(mode="after")
    def _unique(self) -> "Actions":
        if len({one.action_id for one in self.elements}) != len(self.elements):
            raise ValueError("invalid_blocks")
        return self


class Context(Strict):
    type: Literal["context"]
    elements: list[Mrkdwn] = Field(min_length=1, max_length=10)


Block = Annotated[Header | Section | Actions | Context, Field(discriminator="type")]


class Hooked(Strict):
    text: str = Field(min_length=1, max_length=40_000)
    blocks: list[Block] | None = Field(default=None, max_length=50)


class Posted(Hooked):
    channel: str
    thread_ts: str | None = None
    reply_broadcast: bool | None = None
    unfurl_links: bool | None = None
    unfurl_media: bool | None = None


class Updated(Hooked):
    channel: str
    ts: str


class FakeSlack(Loopback):
    """A workspace with one channel, C1, and one bot, whose token is `xoxb-right`."""

    def __init__(self) -> None:
        super().__init__(self._judge)
        self.posted: dict[str, Posted] = {}
        """By `ts`, what is shown now; what was updated, as it is since."""
        self.hooked: list[Hooked] = []
        self.answered: list[dict[str, Any]] = []
        """What was sent to a `response_url`."""

    def roots(self) -> list[Posted]:
        return [one for one in self.posted.values() if one.thread_ts is None]

    def replies(self) -> list[Posted]:
        return [one for one in self.posted.values() if one.thread_ts is not None]

    def _judge(self, asked: Asked) -> Said:
        try:
            if asked.path.startswith("/services/"):
                self.hooked.append(Hooked.model_validate(asked.json))
                return Said(200)
            if asked.path.startswith("/actions/"):
                self.answered.append(asked.json)
                return Said(200)
            if asked.headers.get("authorization") != "Bearer xoxb-right":
                return Said(200, {"ok": False, "error": "invalid_auth"})
            return Said(200, self._called(asked.path.removeprefix("/api/"), asked.json))
        except ValidationError as problem:
            return Said(200, {"ok": False, "error": "invalid_blocks", "why": str(problem)})

    def _called(self, method: str, body: Any) -> dict[str, Any]:
        if method == "auth.test":
            return {"ok": True, "user": "watchkeeper"}
        if method == "chat.postMessage":
            said = Posted.model_validate(body)
            if said.channel != "C1":
                return {"ok": False, "error": "channel_not_found"}
            if said.thread_ts is not None and said.thread_ts not in self.posted:
                return {"ok": False, "error": "thread_not_found"}
            ts = f"1700000000.{len(self.posted):06}"
            self.posted[ts] = said
            return {"ok": True, "channel": said.channel, "ts": ts}
        if method == "chat.update":
            fresh = Updated.model_validate(body)
            if fresh.ts not in self.posted:
                return {"ok": False, "error": "message_not_found"}
            self.posted[fresh.ts] = Posted(channel=fresh.channel, text=fresh.text, blocks=fresh.blocks)
            return {"ok": True, "channel": fresh.channel, "ts": fresh.ts}
        return {"ok": False, "error": "unknown_method"}
