"""The configuration: `watchkeeper.yaml`, each field overridable by `WATCHKEEPER_…`."""

import difflib
import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from watchkeeper.domain import ConfigurationError
from watchkeeper.domain.complaints import Complaint, complain, knows
from watchkeeper.domain.plan import Effect
from watchkeeper.domain.policy import Outcome
from watchkeeper.settings.checks import CheckSettings
from watchkeeper.settings.healers import HealersSettings
from watchkeeper.settings.ingest import IngestSettings, Sender
from watchkeeper.settings.lab import LabSettings
from watchkeeper.settings.llm import LlmSettings as LlmSettings
from watchkeeper.settings.machines import HostsSettings
from watchkeeper.settings.maintenance import MaintenanceSettings
from watchkeeper.settings.mcp import McpSettings
from watchkeeper.settings.notify import HeartbeatSettings as HeartbeatSettings
from watchkeeper.settings.notify import NotifySettings
from watchkeeper.settings.notify import WebhookSettings as WebhookSettings
from watchkeeper.settings.part import REFERENCE, REFERENCES, Part
from watchkeeper.settings.predictions import PredictionsSettings
from watchkeeper.settings.reading import Written, faults
from watchkeeper.settings.server import ServerSettings
from watchkeeper.settings.sources import SourceSettings, named, own_metrics

Mode = Literal["observe", "approve", "auto"]
Planner = Literal["auto", "runbooks", "model", "agents"]
DEFAULT_TABLE: dict[str, dict[str, Outcome]] = {
    "production": {"read": "allow", "reversible": "ask", "disruptive": "ask", "destructive": "deny"},
    "staging": {"read": "allow", "reversible": "allow", "disruptive": "ask", "destructive": "ask"},
    "lab": {"read": "allow", "reversible": "allow", "disruptive": "allow", "destructive": "ask"},
}
_SECRET_NAME = re.compile(r"(?i)(passw(or)?d|secret|token|api_?key|credential|private_?key|access_?key)")


class WatchSettings(Part):
    """How often to look, in seconds. `quick` is the interval while an alert is pending or a fix settles."""

    interval: float = Field(default=2.0, ge=0.2, le=3600)
    quick: float = Field(default=0.2, ge=0.05, le=10)
    timeout: float = Field(default=3.0, ge=0.1, le=60)
    discover: float = Field(default=10.0, ge=1, le=3600)
    readings_days: float = Field(default=7.0, gt=0)
    logs_days: float = Field(default=7.0, gt=0)


class PolicySettings(Part):
    """The table (environment → effect → allow, ask or deny), more Cedar if wanted, and the limits beside it."""

    table: dict[str, dict[Effect, Outcome]] = Field(default_factory=dict[str, dict[Effect, Outcome]])
    cedar: Path | None = None
    """Policies of your own about steps."""
    access: Path | None = None
    """Policies of your own about who may what else, in Cedar: pause, modes, approvals, tokens."""
    changes_per_hour: int = Field(default=6, ge=0)
    two_people: list[Effect] = Field(default_factory=list[Effect])
    approval_minutes: float = Field(default=60.0, gt=0)
    fix_deadline: float = Field(default=600.0, gt=1)
    cooldown: float = Field(default=600.0, ge=0)
    """Seconds after a fix that failed in which nothing more is done nearby without a person; 0: none."""
    concurrent_fixes: int = Field(default=4, ge=1)
    concurrent_fixes_nearby: int = Field(default=1, ge=1)
    breaker_failures: int = Field(default=3, ge=0)
    """Failures of one tool in a row, within `breaker_within` seconds, after which it is not used; 0: no breaker."""
    breaker_within: float = Field(default=3600.0, gt=0)
    breaker_reset: float = Field(default=900.0, ge=0)
    """Seconds after the last failure until it is tried once more."""

    def merged(self) -> dict[str, dict[str, Outcome]]:
        """The default table with the user's cells over it."""
        merged = {environment: dict(row) for environment, row in DEFAULT_TABLE.items()}
        for environment, row in self.table.items():
            base = merged.setdefault(environment, dict(DEFAULT_TABLE["production"]))
            base.update({effect.value: outcome for effect, outcome in row.items()})
        return merged


class ResourceSettings(Part):
    """Something named by hand, or found but to be treated otherwise. `name` matches a slug or an id (globs allowed)."""

    name: str
    kind: str | None = None
    url: str | None = None
    environment: str | None = None
    act: bool | None = None
    password: str | None = None
    username: str | None = None
    ignore: bool = False
    depends_on: list[str] | None = None
    """Slugs or ids of what it needs, in place of what is inferred; `!name` takes one inferred away."""
    settings: dict[str, Any] = Field(default_factory=dict[str, Any])
    source: str | None = None
    """The name of one of `sources`: its readings come from there."""
    match: dict[str, str] = Field(default_factory=dict[str, str])
    """Labels of its series there, where its address or name does not tell."""
    metrics: dict[str, str] = Field(default_factory=dict[str, str])
    """Metrics of the user's own: name → query, each giving one number."""

    _own_metrics = field_validator("metrics")(own_metrics)

    @field_validator("password")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(REFERENCE):
            raise ValueError(REFERENCES)
        return value

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).password:
            raise ValueError(f"{REFERENCES}, as `password`, not inside the URL")
        return value

    @field_validator("settings")
    @classmethod
    def _references(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, said in value.items():
            if _SECRET_NAME.search(name) and isinstance(said, str) and not said.startswith(REFERENCE):
                raise ValueError(f"{REFERENCES}, for {name}")
        return value


class RuleOverride(Part):
    """Change a shipped rule: switch it off, or give it another `for`, threshold expression or severity."""

    enabled: bool = True
    when: str | None = None
    clear: str | None = None
    for_: str | float | None = Field(default=None, alias="for")
    severity: Literal["info", "warning", "critical"] | None = None


_PREFIX = "WATCHKEEPER_"


class Settings(BaseSettings):
    """Everything there is to configure. Unknown keys are errors."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", nested_model_default_partial_update=True
    )

    mode: Mode = "approve"
    data: Path = Field(default_factory=lambda: default_data())
    store: str | None = None
    """PostgreSQL, by one URL; a password in it is a reference (`?password=env:NAME`), or the whole is. None: SQLite."""
    planner: Planner = "auto"
    """Who plans. `auto`: a runbook that matches, then the language model where there is one (`llm`); `runbooks`: they
    alone; `model`: the language model first, then runbooks; `agents`: agents over MCP, who may then ask for changes
    (`mcp.writes`)."""
    llm: LlmSettings | None = None
    """Language models that may plan; None: none is asked, and nothing of it is loaded."""
    server: ServerSettings = Field(default_factory=ServerSettings)
    watch: WatchSettings = Field(default_factory=WatchSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    hosts: HostsSettings = Field(default_factory=HostsSettings)
    mcp: McpSettings = Field(default_factory=McpSettings)
    healers: HealersSettings = Field(default_factory=HealersSettings)
    lab: LabSettings | None = None
    """Where failures, resets and validation runs are forwarded; None: nowhere."""
    ingest: dict[Sender, IngestSettings] = Field(default_factory=dict[Sender, IngestSettings])
    predictions: PredictionsSettings = Field(default_factory=PredictionsSettings)
    resources: list[ResourceSettings] = Field(default_factory=list[ResourceSettings])
    sources: dict[str, SourceSettings] = Field(default_factory=dict[str, SourceSettings])
    checks: list[CheckSettings] = Field(default_factory=list[CheckSettings])
    maintenance: list[MaintenanceSettings] = Field(default_factory=list[MaintenanceSettings])
    rules: dict[str, RuleOverride] = Field(default_factory=dict[str, RuleOverride])
    runbooks: Path | None = None
    """A folder of your own rules and runbooks, laid out as a connector's: `KIND/rules.yaml`, `KIND/runbooks/*.md`."""
    without_runbooks: list[str] = Field(default_factory=list[str])
    """Runbooks that are left out, shipped ones and your own: `KIND/NAME`, globs allowed (`redis/*`). What they are for
    is still noticed, and then left to a language model or to people."""
    only: list[str] = Field(default_factory=list[str])
    """Watch only resources whose id, slug or compose project matches one of these globs; empty: everything found."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, which arrives as keyword arguments."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _sources_there(self) -> Self:
        for said in self.resources:
            match, metrics = bool(said.match), bool(said.metrics)
            named(said.name, said.source, self.sources, kind=said.kind, match=match, metrics=metrics)
        return self

    @model_validator(mode="after")
    def _agents_may(self) -> Self:
        if self.planner == "agents" and not self.mcp.writes:
            raise ValueError("planner: agents plan only where they may ask for changes: set `mcp: {writes: true}`")
        if self.planner == "model" and self.llm is None:
            raise ValueError("planner: model needs a model: say which under `llm:`, for example `llm: {}` for Gemini")
        return self

    @field_validator("checks")
    @classmethod
    def _unique(cls, value: list[CheckSettings]) -> list[CheckSettings]:
        names = [check.key for check in value]
        if twice := next((check.name for check in value if names.count(check.key) > 1), None):
            raise ValueError(f"the name {twice} is there twice")
        return value

    @field_validator("store")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is None or value.startswith(REFERENCE):
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError("write postgresql://USER@HOST/DATABASE, or leave it out for SQLite in the data directory")
        said = dict(parse_qsl(parts.query)).get("password", "")
        for password in (parts.password, said):
            if password and not password.startswith(REFERENCE):
                raise ValueError(f"{REFERENCES}: postgresql://USER@HOST/DATABASE?password=env:NAME")
        return value

    @property
    def database(self) -> str:
        """The store's URL with its password. Raises ConfigurationError where that cannot be read."""
        if self.store is None:
            return f"sqlite+aiosqlite:///{self.data / 'watchkeeper.db'}"
        if self.store.startswith(REFERENCE):
            return secret(self.store)
        parts = urlsplit(self.store)
        query = dict(parse_qsl(parts.query))
        password = query.pop("password", None) or parts.password
        if not password:
            return self.store
        user, at, host = parts.netloc.rpartition("@")
        who = f"{user.partition(':')[0]}:{quote(secret(password), safe='')}{at}{host}"
        return urlunsplit((parts.scheme, who, parts.path, urlencode(query), ""))


def default_data() -> Path:
    """`$XDG_STATE_HOME/watchkeeper`, usually `~/.local/state/watchkeeper`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "watchkeeper"


def configuration_file(path: Path | None = None) -> Path | None:
    """`path`, else what WATCHKEEPER_CONFIG says, else `./watchkeeper.yaml` if there is one."""
    if path is not None:
        return path
    here = Path(os.environ.get("WATCHKEEPER_CONFIG", "watchkeeper.yaml"))
    return here if here.exists() or "WATCHKEEPER_CONFIG" in os.environ else None


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read `path`, else `./watchkeeper.yaml` if there is one, else defaults; over it the environment, over that the
    overrides that are not None. Raises ConfigurationError."""
    _no_misspelt_variables()
    path = configuration_file(path)
    written = Written(path)
    where = str(path) if path else "the environment (WATCHKEEPER_…)"
    model = _with({name: value for name, value in overrides.items() if value is not None})
    try:
        return model(**written.content)
    except ValidationError as problem:
        if said := _said_in(problem):
            raise complain(Settings, problem, said) from None
        found, rest = faults(model, written)
        raise Faulty(where, found, rest) from None
    except Exception as problem:
        raise ConfigurationError(f"{where}: {problem}") from None


class Faulty(ConfigurationError):
    """What is wrong in the file, all of it, with the lines. `rest`: the settings without that."""

    def __init__(self, where: str, found: list[tuple[int, Complaint]], rest: Settings | None) -> None:
        told = [(f"line {line}: " if line else "") + one.text for line, one in found]
        what = f"{where}: {len(told)} things are wrong:\n  " + "\n  ".join(told)
        if len(found) == 1:
            line, one = found[0]
            what = f"{where}{f':{line}' if line else ''}: {one.text}."
        super().__init__(what, knows(one for _, one in found))
        self.rest = rest


def _said_in(problem: ValidationError) -> str:
    """The variables of the environment that say what is wrong; empty where the file does."""
    wrong = {str(error["loc"][0]).upper() for error in problem.errors() if error["loc"]}
    said = [n for n in os.environ if n.startswith(_PREFIX) and n.removeprefix(_PREFIX).partition("__")[0] in wrong]
    return f"{', '.join(sorted(said))} in the environment" if said else ""


def _with(overrides: dict[str, Any]) -> type[Settings]:
    """Settings over which nothing goes that is said here."""
    if not overrides:
        return Settings

    class Overridden(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            said = InitSettingsSource(settings_cls, overrides)
            return said, *super().settings_customise_sources(settings_cls, *sources, **named)

    return Overridden


def _no_misspelt_variables() -> None:
    """Raises ConfigurationError for a variable that was most likely meant to be one of ours."""
    known = [f"WATCHKEEPER_{name.upper()}" for name in Settings.model_fields]
    for variable in os.environ:
        first = variable.upper().split("__")[0]
        if first.startswith("WATCHKEEPER_") and first not in known:
            near = difflib.get_close_matches(first, known, n=1, cutoff=0.95)
            if near:
                raise ConfigurationError(f"The variable {variable} is not known (did you mean {near[0]}?).")


def secret(reference: str) -> str:
    """The value behind `env:NAME` or `file:PATH`. Raises ConfigurationError that never shows the value."""
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        if name not in os.environ:
            raise ConfigurationError(f"The environment variable {name} is not set.", f"Set it: export {name}=…")
        return os.environ[name]
    if scheme == "file":
        try:
            return Path(name).read_text().strip()
        except OSError as problem:
            raise ConfigurationError(f"{name} cannot be read: {problem.strerror}.") from None
    raise ConfigurationError("A credential must be a reference.", "Write env:NAME or file:PATH.")
