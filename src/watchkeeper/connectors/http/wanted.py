"""What is asked of a service, from its entry in the configuration or its labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import Field, ValidationError, field_validator

from watchkeeper.domain.complaints import complain
from watchkeeper.settings import secret
from watchkeeper.settings.expect import Expect, duration
from watchkeeper.settings.part import REFERENCE, REFERENCES, Part

EXAMPLE = (
    "For example: {name: checkout, kind: http, url: https://checkout.internal, "
    "settings: {health: /healthz, ready: /readyz}}."
)
STARTING = 60.0
"""Seconds after its start for which a service that has not answered yet is starting, not down."""
TIMEOUT = 1.0
"""Seconds for one request, as Kubernetes' probes have by default; a look makes two at the same time."""
SLOW = 0.8
"""Seconds for the median of lately from which it counts as slow, however slow it always was."""


class HttpSettings(Part):
    """`settings:` of a resource of kind `http`, or its labels `watchkeeper.http.…`."""

    url: str | None = None
    scheme: str = Field(default="http", pattern="^https?$")
    port: int | None = Field(default=None, ge=1, le=65535)
    health: str | None = None
    ready: str | None = None
    expect: Expect = Field(default_factory=Expect)
    verify: bool = True
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    start_period: float = STARTING
    timeout: float = Field(default=TIMEOUT, ge=0.05, le=30)
    slow: float = SLOW

    @field_validator("health", "ready")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("a path begins with /; for example /healthz")
        return value

    @field_validator("start_period", "slow", "timeout", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> float:
        return duration(value)

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name, said in value.items():
            if name.lower() in ("authorization", "cookie", "x-api-key") and not said.startswith(REFERENCE):
                raise ValueError(f"{REFERENCES}, for {name}")
        return value


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask for. `health` and `ready` are paths; without one it is not asked for."""

    settings: HttpSettings = field(default_factory=HttpSettings)

    @property
    def health(self) -> str:
        """The path whose answer says that it is alive; by default that of its URL."""
        return self.settings.health or (urlsplit(self.settings.url or "").path or "/")

    @property
    def ready(self) -> str | None:
        return self.settings.ready

    def headers(self) -> dict[str, str]:
        """With the secrets they refer to. Raises ConfigurationError."""
        return {
            name: secret(said) if said.startswith(REFERENCE) else said for name, said in self.settings.headers.items()
        }


def wanted(given: Mapping[str, Any], where: str) -> Wanted:
    """Raises ConfigurationError that names what is wrong and the nearest right key."""
    try:
        return Wanted(HttpSettings.model_validate(dict(given)))
    except ValidationError as problem:
        raise complain(HttpSettings, problem, where) from None


def from_labels(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Labels have no depth: `expect-status`, `status`, `contains` and `within` are parts of `expect`. What is not valid
    raises ConfigurationError."""
    settings: dict[str, Any] = dict(given)
    expect = {
        name: settings.pop(key)
        for name in ("status", "contains", "within")
        for key in (name, f"expect_{name}")
        if key in settings
    }
    if expect:
        settings["expect"] = expect
    wanted(settings, where)
    return settings


def port_of(url: str) -> int:
    """The port a URL leads to."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def joined(base: str, path: str) -> str:
    """
    >>> joined("http://10.0.0.5:8000/shop", "/ready")
    'http://10.0.0.5:8000/ready'
    """
    return urljoin(base, path)
