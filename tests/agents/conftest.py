"""A real `watchkeeper up` beside a real redis-server, which agents may ask to change it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import RedisServer, free_port, start_redis
from watchkeeper.cli.client import Client

BIN = Path(sys.executable).parent
PATIENCE = 60.0
"""Seconds until what must come has come, or the test fails."""


@dataclass
class Up:
    folder: Path
    url: str
    redis: RedisServer
    environment: dict[str, str]

    @property
    def token(self) -> str:
        return (self.folder / "data" / "token").read_text().strip()

    def client(self) -> Client:
        return Client(self.url, self.token)


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("agents")
    server = start_redis(folder, "--maxmemory", "16mb")
    port = free_port()
    named = {"name": "cache", "kind": "redis", "url": server.url, "environment": "lab", "act": True}
    said = {
        "server": {"port": port},
        "data": str(folder / "data"),
        "mcp": {"writes": True},
        "watch": {"interval": 0.3},
        "resources": [named],
        "only": ["local/lab/redis/cache"],  # the machine runs other tests' servers
    }
    (folder / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    environment = os.environ | {"DOCKER_HOST": "unix:///nonexistent"}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "watchkeeper", "up"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    drained = threading.Thread(target=process.stdout.read)
    try:
        said_so = next((line for line in process.stdout if b"What happens from here on" in line), None)
        assert said_so, (folder / "up.log").read_text()
        drained.start()
        yield Up(folder, f"http://127.0.0.1:{port}", server, environment)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if drained.ident:
            drained.join()
        process.stdout.close()
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()
