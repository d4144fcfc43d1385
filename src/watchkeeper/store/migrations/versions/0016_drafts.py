"""Runbooks that were distilled from plans that healed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
