"""`predictions:` what model servers send, and for how long it is kept."""

from pydantic import Field

from watchkeeper.settings.part import Part


class PredictionsSettings(Part):
    """Profiles, by model, version and time."""

    keep_days: float = Field(default=90.0, ge=1, le=3650)
