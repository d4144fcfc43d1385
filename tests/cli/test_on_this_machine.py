"""`up` finds what runs on this machine without a container, and starts it again when it was killed."""

import base64
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

from tests.cli.conftest import PATIENCE, Run, running
from tests.conftest import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="why a process ended is told to root alone")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[int]:
    """The port of a redis-server that was started by hand, as people do: in the background, its output to a file."""
    port = free_port()
    command = f"exec setsid redis-server --port {port} --save '' --maxmemory 64mb --requirepass hunter2 >>log 2>&1 &"
    subprocess.run(["sh", "-c", f"ulimit -n 4321; {command}"], check=True, cwd=tmp_path)
    yield port
    stop(port)


def stop(port: int) -> None:
    """As a person stops it."""
    subprocess.run(
        ["redis-cli", "-p", str(port), "-a", "hunter2", "shutdown", "nosave"], capture_output=True, check=False
    )


def client(port: int) -> "redis.Redis":
    return redis.Redis(port=port, password="hunter2", decode_responses=True)


def pid_of(port: int) -> int:
    return int(client(port).info("server")["process_id"])


def test_doctor_asks_for_the_rights_of_what_runs_here(
    plain: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"redis-{plain}"
    monkeypatch.setenv("PLAIN", "hunter2")
    monkeypatch.setenv("WATCHKEEPER_HOSTS__LOCAL__ENABLED", "true")
    said = {"only": [name], "resources": [{"name": name, "kind": "redis", "password": "env:PLAIN"}]}
    (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    told = run("doctor", "--url", "http://127.0.0.1:1").out
    assert f"{name:<13} as the user default; can look: ✓; can probe: ✓; may not act (not named for it)" in told


def test_a_killed_server_is_started_again_as_it_was_and_one_stopped_on_purpose_is_left_alone(
    plain: int, tmp_path: Path
) -> None:
    name = f"redis-{plain}"
    said = {
        "mode": "auto",
        "only": [f"local/*/*/{name}"],
        "hosts": {"local": {"enabled": True, "environment": "lab"}},
        "resources": [{"name": name, "act": True, "password": "env:PLAIN"}],
    }
    (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    before = client(plain).config_get("*")
    first = pid_of(plain)
    given = {"PLAIN": "hunter2", "WATCHKEEPER_HOSTS__LOCAL__ENABLED": "true"}
    with running(tmp_path / "data", **given) as up:
        up.until_line("What happens from here on")
        with up.client as asked:
            found = {item["id"] for item in asked.get("/api/resources/status")["items"]}
        assert found == {f"local/lab/redis/{name}", f"local/lab/service/{name}"}

        os.kill(first, signal.SIGKILL)
        closed = up.until(lambda event: event["kind"] == "incident.closed")
        assert "healed" in closed["text"], up.lines
        second = pid_of(plain)
        assert second != first
        assert client(plain).config_get("*") == before
        assert os.readlink(f"/proc/{second}/cwd") == str(tmp_path)
        assert "4321" in Path(f"/proc/{second}/limits").read_text()

        stop(plain)
        with up.client as asked:
            deadline = time.monotonic() + PATIENCE
            while (state := asked.get("/api/resources/status")["items"]) and time.monotonic() < deadline:
                told = any("stopped on purpose" in item["state"] for item in state)
                if told and all(item["health"] == "UNKNOWN" for item in state):
                    break  # UNKNOWN alone may be a look that is late
                time.sleep(0.2)
            assert any("stopped on purpose" in item["state"] for item in state), state
            assert [one["id"] for one in asked.get("/api/incidents")["items"]] == [closed["incident"]]
    assert "hunter2" not in "\n".join(up.lines)


def until_kept(folder: Path, name: str) -> Path:
    """The file that keeps how plain processes were started, once it has all that the server tells of itself."""
    path = folder / "processes" / "local.json"
    deadline = time.monotonic() + PATIENCE
    while True:
        kept = json.loads(path.read_text())["processes"] if path.exists() else []
        if any(one["name"] == name and one["told"] for one in kept):
            return path
        assert time.monotonic() < deadline, [one["name"] for one in kept]
        time.sleep(0.1)


def test_what_died_while_nobody_watched_is_known_and_after_a_yes_started_as_it_was(plain: int, tmp_path: Path) -> None:
    name, data = f"redis-{plain}", tmp_path / "data"
    said = {
        "mode": "auto",
        "only": [f"local/*/*/{name}"],
        "hosts": {"local": {"environment": "lab", "act": True}},
        "resources": [{"name": name, "password": "env:PLAIN"}],
    }
    (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    given = {"PLAIN": "hunter2", "WATCHKEEPER_HOSTS__LOCAL__ENABLED": "true"}
    before, first = client(plain).config_get("*"), pid_of(plain)
    with running(data, **given) as up:
        up.until_line("What happens from here on")
        kept = until_kept(data, name)
        up.process.kill()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    os.kill(first, signal.SIGKILL)

    with running(data, **given) as up:
        up.until_line("What happens from here on")
        asked = up.until(lambda event: event["kind"] == "approval.requested")
        with up.client as known:
            states = {item["id"]: item["state"] for item in known.get("/api/resources/status")["items"]}
            assert "why it ended was not seen" in states[f"local/lab/service/{name}"], states
            known.post(f"/api/approvals/{asked['subject']}/approve")
        closed = up.until(lambda event: event["kind"] == "incident.closed")
        assert "healed" in closed["text"], up.lines
        assert closed["incident"] == asked["incident"]
        second = pid_of(plain)
        assert second != first
        assert client(plain).config_get("*") == before
        assert os.readlink(f"/proc/{second}/cwd") == str(tmp_path)
        assert "4321" in Path(f"/proc/{second}/limits").read_text()
    told = next(one["told"] for one in json.loads(kept.read_text())["processes"] if one["name"] == name)
    assert 'requirepass "hunter2"' in base64.b64decode(told["content"]).decode()
    for path in data.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path
    assert "hunter2" not in "\n".join(up.lines)
