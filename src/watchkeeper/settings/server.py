"""Where the API listens, by which names it is known, and how much is taken."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from watchkeeper.settings.part import Part


class TlsSettings(Part):
    """Files in PEM: the certificate, with what leads from it to its authority behind it, and its key."""

    certificate: Path
    key: Path


class LimitsSettings(Part):
    """What one client may take, so that the others are served. A client is a token, else an address."""

    looks_per_minute: int = Field(default=6000, ge=1)
    """Requests that only look, of one client; a third of them at once."""
    changes_per_minute: int = Field(default=600, ge=1)
    """Other requests, counted apart."""
    connections: int = Field(default=1000, ge=10, le=100_000)
    """Connections open at the same time; more are closed at once."""
    head_seconds: float = Field(default=10.0, gt=0, le=600)
    """Seconds in which the head of a request must have come."""
    body_seconds: float = Field(default=30.0, gt=0, le=600)
    """Seconds in which its body must have come."""
    live_clients: int = Field(default=500, ge=1, le=10_000)
    """Clients that may follow the live feed at the same time."""
    live_buffer: int = Field(default=1000, ge=1, le=100_000)
    """Messages that may wait for one of them, before it is cut off for being slow."""


class ServerSettings(Part):
    """Where the API listens. Anything but loopback needs TLS, here or by a proxy in front."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    names: list[str] = Field(default_factory=list[str])
    """Other names by which it is asked, `watchkeeper.example.com`: what a proxy passes on as `Host`."""
    public_url: str | None = None
    """Where people, and services that call back, reach it: the proxy's address, or its own with TLS."""
    tls: TlsSettings | None = None
    limits: LimitsSettings = Field(default_factory=LimitsSettings)

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://x")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("write https://HOST, as a browser would reach it")
        return value.rstrip("/") if value else None
