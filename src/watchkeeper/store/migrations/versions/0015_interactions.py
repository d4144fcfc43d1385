"""Requests to language models, without secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "interactions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("incident", sa.String, index=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float),
        sa.Column("body", sa.JSON, nullable=False),
    )
