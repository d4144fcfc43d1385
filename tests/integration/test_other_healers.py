"""Who else heals is given its time: a restart policy of Docker, and whoever put its label on a container."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "hosts"))  # the image is made there

from engine_fixtures import image

from tests.cli.conftest import PATIENCE, Up, running

__all__ = ["image"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a container's process is killed from outside as root"),
]
SLOW = (
    "if [ ! -e /tmp/1 ]; then : >/tmp/1; exec redis-server --save '' --protected-mode no; fi; "
    "if [ ! -e /tmp/go ]; then while [ ! -e /tmp/go ]; do sleep 0.2; done; exit 1; fi; "
    "exec redis-server --save '' --protected-mode no"
)
"""A Redis that comes up at once; killed, its first new start does not come up, and ends when it is told to."""
POD = ("--label", "io.kubernetes.pod.name=shop-7f", "--label", "io.kubernetes.pod.namespace=web")
ME = uuid.uuid4().hex[:8]


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def containers(image: str) -> Iterator[dict[str, str]]:
    """Names by what they are: `slow` with a restart policy, `pod` with the labels of Kubernetes."""
    made = {kind: f"wk-heal-{kind}-{ME}" for kind in ("slow", "pod")}
    act = ("--label", "watchkeeper.act=true", "--label", "watchkeeper.environment=lab")
    try:
        docker("run", "-d", "--restart", "unless-stopped", "--name", made["slow"], *act, image, "sh", "-c", SLOW)
        docker("run", "-d", "--name", made["pod"], *act, *POD, image, "redis-server", "--protected-mode", "no")
        yield made
    finally:
        subprocess.run(["docker", "rm", "-f", *made.values()], capture_output=True, check=False)


@pytest.fixture(scope="module")
def up(containers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """In mode auto, over these two alone."""
    folder = tmp_path_factory.mktemp("healers")
    said = {
        "mode": "auto",
        "only": [f"docker/lab/*/{name}" for name in containers.values()],
        "healers": {"docker": "1m"},
    }
    (folder / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    with running(folder / "data", DOCKER_HOST=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")) as up:
        up.until_line("What happens from here on")
        yield up


def kill(name: str) -> None:
    """As a crash does; `docker kill` would tell the engine to leave it so."""
    os.kill(int(docker("inspect", "-f", "{{.State.Pid}}", name)), signal.SIGKILL)


def status(up: Up, kind: str, name: str) -> dict[str, Any]:
    with up.client as asked:
        return next(
            one for one in asked.get("/api/resources/status")["items"] if one["id"] == f"docker/lab/{kind}/{name}"
        )


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def about(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["kind"] == "incident.opened" and name in str(event)


def test_a_restart_policy_is_given_its_time_and_nothing_is_done(up: Up, containers: dict[str, str]) -> None:
    name = containers["slow"]
    until(lambda: status(up, "redis", name)["health"] == "HEALTHY")
    assert any("unless-stopped" in said for said in status(up, "redis", name)["tended_by"])
    assert any("unless-stopped" in said for said in status(up, "container", name)["tended_by"])
    kill(name)
    opened = up.until(about(name))
    held = up.until(lambda e: e["kind"] == "incident.held" and e["incident"] == opened["incident"])
    assert "Docker's restart policy (unless-stopped) is given 60 s" in held["text"]
    docker("exec", name, "sh", "-c", ": >/tmp/go")
    closed = up.until(lambda e: e["kind"] == "incident.closed" and e["incident"] == opened["incident"])
    assert "recovered" in closed["text"]
    with up.client as asked:
        assert asked.get("/api/fixes")["items"] == []
    docker("kill", name)
    until(lambda: "it does not apply after `docker kill`" in str(status(up, "container", name)["tended_by"]))


def test_a_container_of_kubernetes_is_left_to_it(up: Up, containers: dict[str, str]) -> None:
    name = containers["pod"]
    until(lambda: status(up, "container", name)["health"] == "HEALTHY")
    docker("kill", name)
    opened = up.until(about(name))
    escalated = up.until(lambda e: e["kind"] == "incident.escalated" and e["incident"] == opened["incident"])
    assert "Kubernetes (pod shop-7f) looks after it" in escalated["text"]
    with up.client as asked:
        assert opened["incident"] not in {fix["incident"] for fix in asked.get("/api/fixes")["items"]}
    assert docker("inspect", "-f", "{{.State.Running}}", name) == "false"
