"""Alerts that others raise."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """One table."""
    op.create_table(
        "outside_alerts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("resource", sa.String, nullable=False, index=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
