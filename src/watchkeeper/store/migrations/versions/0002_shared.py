"""Several executors on one store: who lives, who holds what, how that is, and what one asks of another."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "executors",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("machine", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("born", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("since", sa.DateTime(True), nullable=False),
        sa.Column("until", sa.DateTime(True), nullable=False),
        sa.Column("lost_at", sa.DateTime(True)),
    )
    op.create_table(
        "shares",
        sa.Column("resource", sa.String, primary_key=True),
        sa.Column("holder", sa.String, nullable=False, index=True),
        sa.Column("offered", sa.Boolean, nullable=False),
    )
    op.create_table(
        "standings",
        sa.Column("resource", sa.String, primary_key=True),
        sa.Column("at", sa.DateTime(True), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("resource", sa.String, nullable=False, index=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
