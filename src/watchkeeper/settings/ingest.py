"""`ingest:` alerts that others send in a form of their own: where in it stands what."""

import re
from typing import Annotated

from pydantic import AfterValidator, field_validator

from watchkeeper.domain import Condition, ConfigurationError
from watchkeeper.settings.part import Part

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
OURS = ("alertmanager", "alerts")
"""Names that are taken: what is understood without a mapping, and the list."""


def _free(name: str) -> str:
    if name in OURS:
        raise ValueError(f"{name} is understood without a mapping; give yours another name")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a sender: small letters, digits and -, as in cloud-alerts")
    return name


Sender = Annotated[str, AfterValidator(_free)]


class IngestSettings(Part):
    """A mapping, each field an expression in CEL over `body`, the request's JSON, and `alert`, one of `alerts`."""

    alerts: str = "[body]"
    """The list of alerts in the body."""
    name: str
    fires: str
    """True while it fires."""
    labels: str = "{}"
    """What it is about, as a mapping of texts: `instance`, `container`, `service` … find the resource."""
    resource: str = "''"
    """A slug or an id, where the sender knows it."""
    severity: str = "'warning'"
    summary: str = "''"
    url: str = "''"
    fingerprint: str = "''"
    """What tells one alert from another; empty: its name and labels."""

    @field_validator("*")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            Condition(value)
        except ConfigurationError as problem:
            raise ValueError(problem.what) from None
        return value
