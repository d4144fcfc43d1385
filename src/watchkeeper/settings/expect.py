"""What an answer over HTTP must be like: for a resource of kind `http`, and for checks."""

from typing import Any, cast

from pydantic import Field, field_validator

from watchkeeper.domain import ConfigurationError
from watchkeeper.domain.duration import seconds
from watchkeeper.settings.part import Part


class Expect(Part):
    """Everything that is said must hold. Without `status` any from 200 to 399 will do."""

    status: list[int] = Field(default_factory=list[int])
    contains: str | None = None
    json_: dict[str, Any] | None = Field(default=None, alias="json")
    """Fields of a JSON document and their values; `a.b` is `b` within `a`."""
    within: float | None = None
    """Seconds that the answer may take."""

    @field_validator("status", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        """`200`, `[200, 204]`, or `200,204` as a label says it."""
        listed = cast("list[Any]", value) if isinstance(value, list) else str(value).split(",")
        numbers: list[int] = []
        for one in listed:
            text = str(one).strip()
            if not text.isdigit() or not 100 <= int(text) <= 599:
                raise ValueError(f"{text!r} is no status of HTTP; for example 200, or [200, 204]")
            numbers.append(int(text))
        return numbers

    @field_validator("within", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return None if value is None else duration(value)


def duration(value: Any) -> float:
    """`500ms`, `2s`, `1m` or seconds, for a validator. Raises ValueError."""
    try:
        return seconds(value)
    except (ConfigurationError, AttributeError) as problem:
        said = f"{problem.what} {problem.next_step}" if isinstance(problem, ConfigurationError) else "not a duration"
        raise ValueError(said) from None
