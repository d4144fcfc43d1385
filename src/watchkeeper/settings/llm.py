"""`llm:` which language models may plan, what they may cost, and how long they may take."""

from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from watchkeeper.settings.expect import duration
from watchkeeper.settings.part import REFERENCE, REFERENCES, Part

KEYS = {"google": "env:GEMINI_API_KEY", "openai": "env:OPENAI_API_KEY"}
"""Where each provider's key is, unless `key` says otherwise. One with a `url` of its own has none by default."""
DEFAULT = ("google:gemini-2.5-pro", "google:gemini-2.5-flash")


class ModelSettings(Part):
    """One model: `google:NAME` speaks Gemini's protocol, `openai:NAME` OpenAI's chat completions, at `url` if given.

    `price_in` and `price_out`: US dollars for a million tokens, where no published price is known for it. `output`: how
    it hands in a plan: by calling a function, or as structured output (`native`: Gemini's response schema, OpenAI's
    `response_format`), which by default Gemini 3 and later are asked for; earlier ones refuse it beside look-ups.
    """

    name: str
    url: str | None = None
    key: str | None = None
    output: Literal["function", "native"] | None = None
    price_in: float | None = Field(default=None, ge=0)
    price_out: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _provider(cls, value: str) -> str:
        provider, colon, model = value.partition(":")
        if not colon or not model or provider not in KEYS:
            raise ValueError("write google:MODEL, or openai:MODEL for anything that speaks OpenAI's chat completions")
        return value

    @field_validator("url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write http://HOST:PORT/v1 or https://…")
        if parts.password or parts.username or parts.query:
            raise ValueError(f"{REFERENCES}, as `key`, not inside the URL")
        return value.rstrip("/")

    @field_validator("key")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(REFERENCE):
            raise ValueError(REFERENCES)
        return value

    @property
    def protocol(self) -> str:
        """`google` or `openai`."""
        return self.name.partition(":")[0]

    @property
    def model(self) -> str:
        """The name by which its provider knows it."""
        return self.name.partition(":")[2]

    @property
    def provider(self) -> str:
        """Who is called: what a circuit breaker is for."""
        return urlsplit(self.url).netloc if self.url else self.protocol

    @property
    def reference(self) -> str | None:
        """Where its key is; None where it needs none."""
        return self.key or (None if self.url else KEYS[self.protocol])


class Spending(Part):
    """What may be spent within a time: model calls, tokens (in and out together), US dollars."""

    calls: int = Field(ge=1)
    tokens: int = Field(ge=1000)
    dollars: float = Field(gt=0)


class LlmSettings(Part):
    """`models` are asked one after the other until one gives a plan that passes every check; then runbooks go on.

    `timeout`: seconds for one request. `deadline`: for a decision, all requests of all models together.
    `prompt_tokens`: how large the first prompt may be, estimated. `replans`: how often it may plan anew after a fix
    that did not heal. `calls_per_plan`: requests of one model for one plan, look-ups among them. `breaker_failures` in
    a row open a provider's circuit breaker for `breaker_reset` seconds. `calls_per_question`: requests of one model for
    an answer to a person. `kept_for_incidents`: the share of `per_day` that questions leave alone.
    """

    models: list[ModelSettings] = Field(
        default_factory=lambda: [ModelSettings(name=name) for name in DEFAULT], min_length=1, max_length=8
    )
    then: Literal["runbooks", "person"] = "runbooks"
    """With `planner: model`: who plans where no model hands in anything usable."""
    timeout: float = Field(default=45.0, ge=0.1, le=600)
    deadline: float = Field(default=120.0, ge=0.2, le=1800)
    prompt_tokens: int = Field(default=8000, ge=2000, le=200_000)
    answer_tokens: int = Field(default=8192, ge=512, le=65_536)
    calls_per_plan: int = Field(default=8, ge=1, le=50)
    calls_per_question: int = Field(default=12, ge=1, le=50)
    kept_for_incidents: float = Field(default=0.5, ge=0, le=1)
    replans: int = Field(default=2, ge=0, le=2)
    per_incident: Spending = Field(default_factory=lambda: Spending(calls=30, tokens=300_000, dollars=1.0))
    per_day: Spending = Field(default_factory=lambda: Spending(calls=500, tokens=5_000_000, dollars=20.0))
    breaker_failures: int = Field(default=3, ge=1)
    breaker_reset: float = Field(default=300.0, ge=1)
    traces: str | None = None
    """Where OpenTelemetry spans of each request go, by OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`. They tell who
    was asked, how long it took and how many tokens, never what was sent or said."""
    trace_content: bool = False
    """What was sent and said as well, without secrets, as OpenTelemetry's conventions have it for who wants it:
    `gen_ai.system_instructions`, `gen_ai.input.messages`, `gen_ai.output.messages`."""
    mask_email: bool = True
    """E-mail addresses are masked in what is sent."""

    @field_validator("traces")
    @classmethod
    def _collector(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://there")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("write http://HOST:4318/v1/traces, without a name or a password in it")
        return value

    @field_validator("timeout", "deadline", "breaker_reset", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return duration(value)

    @field_validator("per_incident", "per_day", mode="before")
    @classmethod
    def _partly(cls, value: Any, info: Any) -> Any:
        """What is not said stays as it is by default."""
        if not isinstance(value, dict):
            return value
        default = {"calls": 30, "tokens": 300_000, "dollars": 1.0}
        if info.field_name == "per_day":
            default = {"calls": 500, "tokens": 5_000_000, "dollars": 20.0}
        return default | cast("dict[str, Any]", value)
