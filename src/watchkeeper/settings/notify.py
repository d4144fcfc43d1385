"""`notify:` who is told of what, and how."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from watchkeeper.domain import Severity
from watchkeeper.settings.expect import duration
from watchkeeper.settings.part import REFERENCE, REFERENCES, Part

Group = Literal["incidents", "approvals", "fixes", "system"]
OWN = "webhook"
"""What the channel of `notify.webhook` is called."""


def _url(value: str) -> str:
    parts = urlsplit(value)
    if not value.startswith(REFERENCE) and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("write https://…, or a reference: env:NAME, file:PATH")
    return value


def _reference(value: str) -> str:
    if not value.startswith(REFERENCE):
        raise ValueError(REFERENCES)
    return value


def _plain_url(value: str) -> str:
    if value.startswith(REFERENCE):
        raise ValueError("write https://…")
    return _url(value).rstrip("/")


Url = Annotated[str, AfterValidator(_url)]
"""A URL, or a reference to one."""
PlainUrl = Annotated[str, AfterValidator(_plain_url)]
Reference = Annotated[str, AfterValidator(_reference)]


class WebhookSettings(Part):
    """One URL that is told of incidents and of what waits for a person. May be a reference: `env:NAME`, `file:PATH`."""

    url: str
    secret: Reference | None = None
    """What each request is signed with, as Standard Webhooks has it."""


class HeartbeatSettings(Part):
    """A URL that is asked for every so many seconds while Watchkeeper works: whoever is behind it notices when it does
    not. `fail_url` is told why it does not; without it there is silence then. Both may be references."""

    url: str
    every: float = Field(default=60.0, ge=0.2, le=3600)
    fail_url: str | None = None

    @field_validator("every", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        """`60`, `60s`, `2m`."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m)", value.strip()) if isinstance(value, str) else None
        return float(found[1]) * {"s": 1, "m": 60}[found[2]] if found else value


class FlappingSettings(Part):
    """An incident that is back so often within so long is told once as flapping, and once when that is over."""

    times: int = Field(default=3, ge=2, le=100)
    within: float = Field(default=1800.0, ge=1, le=86400)

    @field_validator("within", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> float:
        return duration(value)


class ChannelSettings(Part):
    """One way by which people are told; empty lists leave nothing out."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    severities: list[Severity] = Field(default_factory=list[Severity])
    environments: list[str] = Field(default_factory=list[str])
    events: list[Group] = Field(default_factory=list[Group])

    @property
    def references(self) -> list[str]:
        """The credentials it refers to."""
        values = [value for name in type(self).model_fields for value in _texts(getattr(self, name))]
        return [value for value in values if value.startswith(REFERENCE)]


class WebhookChannel(ChannelSettings):
    """JSON to a URL, signed where there is a `secret`."""

    kind: Literal["webhook"]
    url: Url
    secret: Reference | None = None


class PagerDutyChannel(ChannelSettings):
    """PagerDuty's Events API v2. `key`: the integration key of a service."""

    kind: Literal["pagerduty"]
    key: Reference
    url: PlainUrl = "https://events.pagerduty.com/v2/enqueue"
    page: Literal["opened", "person"] = "opened"
    """When somebody is paged: once an incident opens, or only once it needs a person."""


class MailChannel(ChannelSettings):
    """SMTP. `port`: 587 with STARTTLS, 465 with TLS, 25 with neither."""

    kind: Literal["mail"]
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca: str | None = None
    """A file of certificates to trust, where the system's do not do."""
    user: str | None = None
    password: Reference | None = None
    from_: str = Field(alias="from", pattern=r"^[^@\s]+@[^@\s]+$")
    to: list[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]] = Field(min_length=1)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` go together")
        if self.password and self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("a password is never sent in the open: use `tls: starttls` or `tls: tls`")
        return self


class SlackPerson(Part):
    """Who somebody in Slack is here. An agent never approves, and so is none of them."""

    name: str = Field(pattern=r"^[\w.@+-]{1,64}$")
    role: Literal["viewer", "operator", "approver", "admin"]


class SlackChannel(ChannelSettings):
    """A bot's `token` and the `channel` it writes to, or the `url` of an incoming webhook."""

    kind: Literal["slack"]
    token: Reference | None = None
    channel: str | None = Field(default=None, min_length=1)
    url: Url | None = None
    api: PlainUrl = "https://slack.com/api"
    signing_secret: Reference | None = None
    """With it, and `server.public_url`, messages have buttons by which those in `people` decide."""
    people: dict[str, SlackPerson] = Field(default_factory=dict[str, SlackPerson])
    """By the member ID in Slack (`U012AB3CD`)."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token is None) == (self.url is None):
            raise ValueError("give either a bot's `token` and its `channel`, or the `url` of an incoming webhook")
        if (self.token is None) != (self.channel is None):
            raise ValueError("`token` and `channel` go together")
        if bool(self.people) != (self.signing_secret is not None):
            raise ValueError("`signing_secret` and `people` go together: who may decide by the buttons")
        return self


class AppriseChannel(ChannelSettings):
    """Anything that Apprise knows: `urls` as its documentation describes them. Needs `watchkeeper[apprise]`."""

    kind: Literal["apprise"]
    urls: list[Reference] = Field(min_length=1)


AnyChannel = Annotated[
    WebhookChannel | PagerDutyChannel | MailChannel | SlackChannel | AppriseChannel, Field(discriminator="kind")
]


class NotifySettings(Part):
    webhook: WebhookSettings | None = None
    heartbeat: HeartbeatSettings | None = None
    channels: list[AnyChannel] = Field(default_factory=list[AnyChannel])
    flapping: FlappingSettings = Field(default_factory=FlappingSettings)

    @field_validator("channels")
    @classmethod
    def _unique(cls, value: list[ChannelSettings]) -> list[ChannelSettings]:
        names = [channel.name for channel in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the name {twice} is there twice")
        return value

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.webhook is not None and any(channel.name == OWN for channel in self.channels):
            raise ValueError(f"`channels`: {OWN} is what `notify.webhook` is called; give it another name")
        return self

    @property
    def all_channels(self) -> list[AnyChannel]:
        """The one of `webhook`, and the others."""
        if self.webhook is None:
            return self.channels
        # Not validated again: what is wrong with its URL, `check` and `doctor` say, and always did.
        own = WebhookChannel.model_construct(
            name=OWN,
            kind="webhook",
            url=self.webhook.url,
            secret=self.webhook.secret,
            severities=[],
            environments=[],
            events=[],
        )
        return [own, *self.channels]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _texts(item)
