"""Messages that could not be delivered, and what each channel was told of."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "letters",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("channel", sa.String, nullable=False, index=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "threads",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
