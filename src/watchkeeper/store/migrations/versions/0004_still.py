"""Maintenance windows begun by hand, and silences."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Two tables alike."""
    for name in ("windows", "silences"):
        op.create_table(
            name,
            sa.Column("id", sa.String, primary_key=True),
            sa.Column("status", sa.String, nullable=False, index=True),
            sa.Column("at", sa.DateTime(True), nullable=False, index=True),
            sa.Column("body", sa.JSON, nullable=False),
        )
