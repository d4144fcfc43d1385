"""What people stopped, and what they put away."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "stops",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.add_column("fixes", sa.Column("archived", sa.DateTime(True)))
    op.create_index("ix_fixes_archived", "fixes", ["archived"])
