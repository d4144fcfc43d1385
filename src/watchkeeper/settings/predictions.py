"""`predictions:` what model servers send, and for how long it is kept."""

from pydantic import Field

from watchkeeper.settings.part import Part


class PredictionsSettings(Part):
    """Profiles by model, version and time in the store; records and labels as Parquet in the data directory."""

    keep_days: float = Field(default=90.0, ge=1, le=3650)
    """Days that profiles are kept."""
    records_days: float = Field(default=30.0, ge=1, le=3650)
    """Days that records and labels are kept."""
    records_bytes: int = Field(default=5 << 30, ge=1 << 20)
    """All of them together; the oldest go first."""
