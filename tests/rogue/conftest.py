"""Every rogue connector at once, installed as anybody would install them, beside a real Redis."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def rogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`watchkeeper-rogue` installed from its folder into a directory of its own."""
    target = tmp_path_factory.mktemp("rogues")
    uv = Path(sys.executable).with_name("uv")
    source = HERE.parent / "foreign" / "watchkeeper-rogue"
    command = [str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    subprocess.run([*command, "--python", sys.executable], check=True)
    return target


@pytest.fixture
def server(tmp_path: Path, rogues: Path, redis_server: RedisServer) -> Iterator[Server]:
    """Not started yet; it may change the Redis as it likes."""
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(
        "mode: auto\n"
        "watch: {timeout: 1, discover: 2}\n"
        f"only: [cache, '*-one']\n"
        f"resources: [{{name: cache, kind: redis, url: '{redis_server.url}', environment: lab, act: true,"
        " settings: {cache_keys: ['cache:*']}}]\n"
    )
    made = Server(tmp_path / "data", config, {"PYTHONPATH": str(rogues), "ROGUE_MENDED": str(tmp_path / "mended")})
    yield made
    made.stop()
