"""`lab:` the lab's own process, to which failures, resets and validation runs are forwarded."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import field_validator

from watchkeeper.settings.part import REFERENCE, REFERENCES, Part


class LabSettings(Part):
    url: str
    """As `watchkeeper lab serve` says; on this machine only."""
    token: str

    @field_validator("url")
    @classmethod
    def _here(cls, value: str) -> str:
        parts = urlsplit(value)
        name = parts.hostname or ""
        try:
            here = name == "localhost" or ip_address(name).is_loopback
        except ValueError:
            here = False
        if parts.scheme != "http" or not here:
            raise ValueError("the lab listens on this machine: http://127.0.0.1:8010")
        return value.rstrip("/")

    @field_validator("token")
    @classmethod
    def _reference(cls, value: str) -> str:
        if not value.startswith(REFERENCE):
            raise ValueError(REFERENCES)
        return value
