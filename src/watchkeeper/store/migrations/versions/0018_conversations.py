"""Questions to language models, with their answers."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("by", sa.String, nullable=False, index=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
