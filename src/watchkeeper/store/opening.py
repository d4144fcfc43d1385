"""Opening a database: its settings, its schema brought up to date, and what is said where that cannot be."""

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from watchkeeper.domain import ConfigurationError
from watchkeeper.store import postgres

MIGRATIONS = Path(__file__).parent / "migrations"
"""The number a file of `versions` begins with is its revision."""


async def up_to_date(engine: AsyncEngine) -> None:
    """Every migration that is missing, by one process at a time. Raises ConfigurationError."""
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                await postgres.become_writer(connection)
            if not await connection.run_sync(_is_current):
                await connection.run_sync(_migrate)
    except DatabaseError as problem:
        said = postgres.refused(problem, engine.url)
        if said is None and engine.dialect.name == "sqlite" and "not a database" in str(problem):
            said = ConfigurationError(f"{engine.url.database} is no database.", "Choose another place: --data DIR.")
        if said is None:
            raise
        raise said from None


async def inspect_store(url: str) -> str:
    """What there is at a URL, in one sentence; nothing is changed. Raises ConfigurationError."""
    where = postgres.normal(url)
    engine = create_async_engine(where, **postgres.engine_options(where))
    try:
        async with engine.connect() as connection:
            version = (await connection.execute(sa.text("SHOW server_version"))).scalar_one()
            may = (
                await connection.execute(sa.text("SELECT has_database_privilege(current_database(), 'CREATE')"))
            ).scalar_one()
            known = await connection.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version"))
            schema = (
                (await connection.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar()
                if known
                else None
            )
    except DatabaseError as problem:
        raise postgres.refused(problem, where) or problem from None
    finally:
        await engine.dispose()
    if not may and schema is None:
        raise ConfigurationError(
            f"{where.username} may not make tables in {where.database}.",
            f"Make it the owner: ALTER DATABASE {where.database} OWNER TO {where.username};",
        )
    there = f"schema {schema}" if schema else "empty: its tables are made at the first start"
    return f"PostgreSQL {version} at {where.host}, database {where.database}, {there}"


def pragmas(connection: Any, _: Any) -> None:
    """WAL, so that readers do not wait; FULL, so that an intent survives a power cut before it is acted on."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def as_json(value: Any) -> str:
    """As JSON every database takes: what is not a finite number is written as a word."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return to_json(value, inf_nan_mode="strings").decode()


def plain(text: str) -> str:
    """Without what PostgreSQL takes in no text: the character zero, and halves of characters."""
    return text.replace("\x00", "�").encode(errors="replace").decode()


def _is_current(connection: sa.Connection) -> bool:
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == newest


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # a tenth of a start, which most of them do not need
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as problem:
        raise ConfigurationError(
            f"The store was made by a newer Watchkeeper: this one does not know its schema ({problem}).",
            "Install that version again, or use another store.",
        ) from None
