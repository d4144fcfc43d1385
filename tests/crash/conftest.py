"""The foreign connector, installed as anybody would install it; a ledger it watches; servers to kill."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server
from tests.postgres import Postgres

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`watchkeeper-ledger` installed from its folder into a directory of its own."""
    target = tmp_path_factory.mktemp("site")
    uv = Path(sys.executable).with_name("uv")
    source = HERE.parent / "foreign" / "watchkeeper-ledger"
    command = [str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    subprocess.run([*command, "--python", sys.executable], check=True)
    return target


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str | None:
    """A new database of the shared PostgreSQL where the test asks for one (`both_stores`), else None: SQLite."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.database()


@pytest.fixture
def make_server(
    tmp_path: Path, plugin: Path, redis_server: RedisServer, store_url: str | None
) -> Iterator[Callable[..., Server]]:
    """A server that watches the ledger; stopped at the end of the test."""
    made: list[Server] = []
    config = tmp_path / "watchkeeper.yaml"

    def make(mode: str = "auto", **settings: str) -> Server:
        config.write_text(
            f"mode: {mode}\n"
            "only: [books]\n"
            f"resources: [{{name: books, kind: ledger, url: '{redis_server.url}', environment: lab, act: true}}]\n"
            + (f"store: {store_url}\n" if store_url else "")
            + "".join(f"{name}: {value}\n" for name, value in settings.items())
        )
        environment = {"PYTHONPATH": str(plugin), "LEDGER_DIE": str(tmp_path / "die")}
        server = Server(tmp_path / "data", config, environment)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.stop()
