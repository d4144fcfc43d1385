"""The tables. A value is kept whole as JSON in `body`; columns beside it are what is searched by."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class Time(sa.TypeDecorator[datetime]):
    """A time in UTC: SQLite keeps no zone, and compares what is written."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value if value is None or value.tzinfo is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


metadata = sa.MetaData()
TIME = Time()

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("root", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("incident", sa.String, index=True),
    sa.Column("resource", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
fixes = sa.Table(
    "fixes",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("incident", sa.String, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("archived", TIME, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
stops = sa.Table(
    "stops",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("incident", sa.String, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
proposals = sa.Table(
    "proposals",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("incident", sa.String, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
fingerprints = sa.Table(
    "fingerprints",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
traces = sa.Table(
    "traces",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("incident", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
windows, silences, tokens, drafts = (
    sa.Table(
        name,
        metadata,
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("at", TIME, nullable=False, index=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    for name in ("windows", "silences", "tokens", "drafts")
)
outside_alerts = sa.Table(
    "outside_alerts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("resource", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
letters = sa.Table(
    "letters",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("channel", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
threads = sa.Table(
    "threads",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("kind", sa.String, nullable=False, index=True),
    sa.Column("subject", sa.String, nullable=False, index=True),
    sa.Column("incident", sa.String, index=True),
    sa.Column("resource", sa.String, index=True),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("text", sa.String, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
resources = sa.Table(
    "resources",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("seen_at", TIME, nullable=False),
    sa.Column("gone_at", TIME),
    sa.Column("body", sa.JSON, nullable=False),
)
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("resource", sa.String, primary_key=True),
    sa.Column("at", TIME, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)
logs = sa.Table(
    "logs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("resource", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("level", sa.String, nullable=False),
    sa.Column("text", sa.String, nullable=False),
)
settings = sa.Table(
    "settings",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("holder", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("born", sa.String, nullable=False),
    sa.Column("until", TIME, nullable=False),
)
executors = sa.Table(
    "executors",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("machine", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("born", sa.String, nullable=False),
    sa.Column("address", sa.String, nullable=False),
    sa.Column("since", TIME, nullable=False),
    sa.Column("until", TIME, nullable=False),
    sa.Column("lost_at", TIME),
)
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("resource", sa.String, primary_key=True),
    sa.Column("holder", sa.String, nullable=False, index=True),
    sa.Column("offered", sa.Boolean, nullable=False),
)
standings = sa.Table(
    "standings",
    metadata,
    sa.Column("resource", sa.String, primary_key=True),
    sa.Column("at", TIME, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)
requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("resource", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
model_profiles = sa.Table(
    "model_profiles",
    metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("at", TIME, primary_key=True, index=True),
    sa.Column("seconds", sa.Integer, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
model_senders = sa.Table(
    "model_senders",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("model", sa.String, nullable=False, index=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("seen_at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("by", sa.String, nullable=False, index=True),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),
)
interactions = sa.Table(
    "interactions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("incident", sa.String, index=True),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("at", TIME, nullable=False, index=True),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Float),
    sa.Column("body", sa.JSON, nullable=False),
)
