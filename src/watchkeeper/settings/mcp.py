"""`mcp:` what agents may that come over the Model Context Protocol."""

from typing import Any, Literal

from pydantic import Field, field_validator

from watchkeeper.settings.expect import duration
from watchkeeper.settings.part import Part


class McpSettings(Part):
    """`writes`: whether they may ask for changes at all. Policy decides on each one even then.

    With `planner: agents` an incident waits so many seconds for the plan of one; then runbooks plan, or a `person` is
    told.
    """

    writes: bool = False
    wait: float = Field(default=60.0, ge=1, le=3600)
    then: Literal["runbooks", "person"] = "runbooks"

    @field_validator("wait", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return duration(value)
