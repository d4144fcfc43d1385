"""`sources:` stores of metrics that readings may come from, and what a resource says of them."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from watchkeeper.settings.expect import duration
from watchkeeper.settings.part import REFERENCE, REFERENCES, Part

NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_SECRET_HEADERS = ("authorization", "cookie", "x-api-key")


class SourceSettings(Part):
    """A store that understands PromQL: Prometheus, Mimir, VictoriaMetrics, Thanos."""

    kind: Literal["prometheus"] = "prometheus"
    url: str
    token: str | None = None
    username: str | None = None
    password: str | None = None
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """More headers, for example `X-Scope-OrgID` of Mimir; credentials are references."""
    timeout: float = Field(default=2.5, ge=0.1, le=30)
    max_age: float | None = Field(default=None, ge=1, le=3600)
    """Seconds after which a sample is no data; None: three scrape intervals as they are seen, at least 10 s."""

    @field_validator("timeout", "max_age", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return None if value is None else duration(value)

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write a URL: http://HOST:9090")
        if parts.password or parts.username:
            raise ValueError(f"{REFERENCES}, as `username` and `password`, not inside the URL")
        return value.rstrip("/")

    @field_validator("token", "password")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(REFERENCE):
            raise ValueError(REFERENCES)
        return value

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name, said in value.items():
            if name.lower() in _SECRET_HEADERS and not said.startswith(REFERENCE):
                raise ValueError(f"{REFERENCES}, for {name}")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.token and self.password:
            raise ValueError("give either `token`, or `username` and `password`")
        if bool(self.username) != bool(self.password):
            raise ValueError("`username` and `password` belong together")
        return self

    @property
    def references(self) -> list[str]:
        """The credentials it refers to."""
        given = [self.token or "", self.password or "", *self.headers.values()]
        return [said for said in given if said.startswith(REFERENCE)]


def own_metrics(value: dict[str, str]) -> dict[str, str]:
    """Checked names and queries of metrics of the user's own. Raises ValueError."""
    for name, query in value.items():
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a metric: small letters, digits and _, as in queue_length")
        if not query.strip():
            raise ValueError(f"{name} has no query")
    return {name: query.strip() for name, query in value.items()}


def named(
    resource: str,
    source: str | None,
    sources: Mapping[str, SourceSettings],
    *,
    kind: str | None,
    match: bool,
    metrics: bool,
) -> None:
    """An entry's source is there, where it needs one. Raises ValueError."""
    if source is not None and source not in sources:
        near = difflib.get_close_matches(source, sources, n=1)
        known = f" (did you mean `{near[0]}`?)" if near else "; name it under `sources`"
        raise ValueError(f"resources, {resource}: there is no source `{source}`{known}")
    if match and source is None:
        raise ValueError(f"resources, {resource}: `match` says which series are meant: name their `source`")
    if metrics and source is None and len(sources) != 1:
        raise ValueError(f"resources, {resource}: `metrics` come from a source: say which one, `source: NAME`")
    if source is not None and kind is None:
        said = "a container has the name of the service in it"
        raise ValueError(f"resources, {resource}: with `source` say its `kind`: {said}")
