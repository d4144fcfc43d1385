"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    body = ("body", sa.JSON, False)
    _rows("incidents", ("status", sa.String, False), ("root", sa.String, False), ("at", sa.DateTime(True), False), body)
    for name in ("fixes", "approvals"):
        _rows(name, ("status", sa.String, False), ("incident", sa.String, True), ("at", sa.DateTime(True), False), body)
    _rows(
        "alerts",
        ("status", sa.String, False),
        ("incident", sa.String, True),
        ("resource", sa.String, False),
        ("at", sa.DateTime(True), False),
        body,
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("kind", sa.String, nullable=False, index=True),
        sa.Column("subject", sa.String, nullable=False, index=True),
        sa.Column("incident", sa.String, index=True),
        sa.Column("resource", sa.String, index=True),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "resources",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seen_at", sa.DateTime(True), nullable=False),
        sa.Column("gone_at", sa.DateTime(True)),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("resource", sa.String, primary_key=True),
        sa.Column("at", sa.DateTime(True), primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "logs",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("resource", sa.String, nullable=False, index=True),
        sa.Column("at", sa.DateTime(True), nullable=False, index=True),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
    )
    op.create_table(
        "settings", sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.JSON, nullable=False)
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("born", sa.String, nullable=False),
        sa.Column("until", sa.DateTime(True), nullable=False),
    )


def _rows(name: str, *columns: tuple[str, object, bool]) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String, primary_key=True),
        *(
            sa.Column(column, kind, nullable=nullable, index=column != "body")  # type: ignore[arg-type]
            for column, kind, nullable in columns
        ),
    )
