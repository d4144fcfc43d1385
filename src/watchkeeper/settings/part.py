"""What every part of the configuration is: unknown keys are errors, and credentials are references."""

from pydantic import BaseModel, ConfigDict

REFERENCE = ("env:", "file:")
REFERENCES = "credentials are references: write env:NAME or file:PATH"


class Part(BaseModel):
    """A mapping within the configuration."""

    model_config = ConfigDict(extra="forbid")
