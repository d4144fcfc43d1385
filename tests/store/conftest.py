from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import Postgres
from watchkeeper.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database of either kind: whatever is promised holds on both."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.database()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Store.open(url) as opened:
        yield opened
