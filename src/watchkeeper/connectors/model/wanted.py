"""What is too much for a model, from its entry in the configuration."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from watchkeeper.domain.complaints import complain
from watchkeeper.settings.expect import duration
from watchkeeper.settings.part import Part

ERRORS = 0.05
"""Share of predictions that may fail where nothing is said: one in twenty is no noise of clients any more."""
MISSING = 0.2
"""Share of predictions by which a feature may be missing more often than it usually is."""


class ModelSettings(Part):
    """`settings:` of a resource of kind `model`."""

    latency: float | None = Field(default=None, gt=0)
    """Seconds that 95 of 100 predictions must be done in; None: only what is usual counts."""
    errors: float = Field(default=ERRORS, gt=0, le=1)
    missing: float = Field(default=MISSING, gt=0, le=1)

    @field_validator("latency", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> float | None:
        return None if value is None else duration(value)


def wanted(settings: Mapping[str, Any], slug: str) -> ModelSettings:
    """Raises ConfigurationError."""
    said = {name: settings[name] for name in ModelSettings.model_fields if name in settings}
    try:
        return ModelSettings.model_validate(said)
    except ValidationError as problem:
        raise complain(ModelSettings, problem, f"settings of {slug}") from None
