"""Nothing yet."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing to do yet."""
