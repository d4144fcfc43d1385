"""The foreign connector, installed as anybody would install it; a ledger it watches; servers to kill."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server

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
def make_server(tmp_path: Path, plugin: Path, redis_server: RedisServer) -> Iterator[Callable[..., Server]]:
    """A server that watches the ledger; stopped at the end of the test."""
    made: list[Server] = []
    config = tmp_path / "watchkeeper.yaml"

    def make(mode: str = "auto", **settings: str) -> Server:
        config.write_text(
            f"mode: {mode}\n"
            "only: [books]\n"
            f"resources: [{{name: books, kind: ledger, url: '{redis_server.url}', environment: lab, act: true}}]\n"
            + "".join(f"{name}: {value}\n" for name, value in settings.items())
        )
        environment = {"PYTHONPATH": str(plugin), "LEDGER_DIE": str(tmp_path / "die")}
        server = Server(tmp_path / "data", config, environment)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.stop()
