"""`checks:` the user's own: a request, a connection, a query or a command, and what must come of it."""

from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from watchkeeper.settings.expect import Expect, duration
from watchkeeper.settings.part import REFERENCE, REFERENCES, Part

Way = Literal["http", "tcp", "sql", "command"]
_MAY_EXPECT: dict[Way, tuple[str, ...]] = {
    "http": ("status", "contains", "json", "within"),
    "tcp": ("within",),
    "sql": ("value", "at_least", "at_most", "rows", "within"),
    "command": ("exit_code", "contains", "within"),
}
_SECRETS = ("authorization", "cookie", "x-api-key")


class CheckExpect(Expect):
    """What must come of it; which of these may be said depends on what is checked."""

    value: str | int | float | bool | None = None
    """The first column of the first row, as text."""
    at_least: float | None = None
    at_most: float | None = None
    rows: int | None = Field(default=None, ge=0)
    exit_code: int = Field(default=0, ge=0, le=255)


class SqlSettings(Part):
    """One statement of a PostgreSQL, in a transaction that may only read."""

    url: str
    query: str
    username: str | None = None
    password: str | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise ValueError("write postgresql://HOST:PORT/DATABASE")
        if parts.password:
            raise ValueError(f"{REFERENCES}, as `password`, not inside the URL")
        return value

    @field_validator("query")
    @classmethod
    def _query(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("there is no statement")
        return value.strip().rstrip(";")

    @field_validator("password")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(REFERENCE):
            raise ValueError(REFERENCES)
        return value


class CheckSettings(Part):
    """One check. Exactly one of `http`, `tcp`, `sql` and `command`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,60}$")
    resource: str | None = None
    """Slug or id (globs allowed) of what its alert is raised on; without one the check is a resource of its own."""
    http: str | None = None
    tcp: str | None = None
    sql: SqlSettings | None = None
    command: list[str] | None = Field(default=None, min_length=1)
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    environment: dict[str, str] = Field(default_factory=dict[str, str])
    """Variables for a command, references allowed; it gets no others but PATH, HOME, LANG and TZ."""
    expect: CheckExpect = Field(default_factory=CheckExpect)
    every: float = Field(default=10.0, ge=0.5, le=86400)
    for_: float = Field(default=0.0, ge=0, le=86400, alias="for")
    timeout: float = Field(default=5.0, ge=0.05, le=300)
    severity: Literal["info", "warning", "critical"] = "warning"
    why: str = ""
    recommend: str = ""
    runbook: str | None = None
    """The name of a runbook of yours that knows what to do about it."""

    @field_validator("every", "for_", "timeout", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> float:
        return duration(value)

    @field_validator("http")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://x")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write a URL: https://HOST/PATH")
        if parts.password:
            raise ValueError(f"{REFERENCES}, in `headers`, not inside the URL")
        return value

    @field_validator("tcp")
    @classmethod
    def _tcp(cls, value: str | None) -> str | None:
        host, _, port = (value or "x:1").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("write HOST:PORT, for example 10.0.0.5:5432")
        return value

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name, said in value.items():
            if name.lower() in _SECRETS and not said.startswith(REFERENCE):
                raise ValueError(f"{REFERENCES}, for {name}")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [name for name in _MAY_EXPECT if getattr(self, name) is not None]
        if len(ways) != 1:
            said = "none" if not ways else " and ".join(f"`{name}`" for name in ways)
            raise ValueError(f"give exactly one of `http`, `tcp`, `sql` and `command`; there is {said}")
        known = _MAY_EXPECT[self.way]
        for name in self.expect.model_fields_set:
            named = {"json_": "json"}.get(name, name)
            if named not in known:
                raise ValueError(f"`expect.{named}` says nothing of `{self.way}`; it may have {', '.join(known)}")
        if self.headers and self.http is None:
            raise ValueError("`headers` are for `http`")
        if self.environment and self.command is None:
            raise ValueError("`environment` is for `command`")
        return self

    @property
    def way(self) -> Way:
        """Which of the four it is."""
        return next(name for name in _MAY_EXPECT if getattr(self, name) is not None)

    @property
    def key(self) -> str:
        """Its name within the names of metrics."""
        return self.name.lower().replace("-", "_")

    @property
    def rule(self) -> str:
        """The rule that its alert is of."""
        return f"check-{self.name}"

    @property
    def references(self) -> list[str]:
        """The credentials it refers to."""
        given = [*self.headers.values(), *self.environment.values(), (self.sql and self.sql.password) or ""]
        return [said for said in given if said.startswith(REFERENCE)]

    @property
    def said(self) -> str:
        """What is done, in a few words; no secret among them."""
        if self.sql is not None:
            return f"a query of {urlsplit(self.sql.url).hostname}"
        if self.command is not None:
            return f"the command {self.command[0]}"
        return f"GET {self.http}" if self.http else f"a connection to {self.tcp}"
