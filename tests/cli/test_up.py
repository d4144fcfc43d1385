"""How `up` starts and ends."""

import os
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path

from tests.cli.conftest import PATIENCE, WATCHKEEPER, Shop, running
from tests.conftest import RedisServer
from watchkeeper.store.lease import born


def test_a_port_in_use_is_told_before_anything_is_begun(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [str(WATCHKEEPER), "up", "--data", str(data), "--port", str(taken.getsockname()[1])]
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)

    assert said.returncode == 2
    assert "is in use" in said.stderr
    assert "--port PORT" in said.stderr
    assert not data.exists()


def test_a_second_executor_is_refused_and_names_the_first(shop: Shop) -> None:
    with running(shop.up.data) as second:
        code = second.process.wait(PATIENCE)
        said = second.until_line("Another watchkeeper is running")

    assert code == 2
    assert str(shop.up.process.pid) in said
    assert not any("Traceback" in line for line in second.lines)


def test_only_what_is_said_is_watched(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--only", "nothing-is-called-so") as up:
        up.until_line("What happens from here on")
        with up.client as client:
            assert client.get("/api/resources/status")["total"] == 0


def test_it_ends_in_order_with_ctrl_c(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as up:
        up.until_line("What happens from here on")
        assert (data / "url").read_text() == f"http://127.0.0.1:{up.port}"
        code = up.stop(signal.SIGINT)

    assert code == 0
    assert not (data / "url").exists()
    assert not any("Traceback" in line for line in up.lines)


def test_it_ends_in_order_on_sigterm_while_somebody_follows_the_events(tmp_path: Path) -> None:
    with running(tmp_path / "data") as up:
        up.until_line("What happens from here on")
        with up.client as client:
            following = client.events(0)
            next(following)
            assert up.stop(signal.SIGTERM) == 0
            assert all(event is None or event["kind"] for event in following)
    assert not any("Traceback" in line for line in up.lines)


def test_it_ends_at_once_when_another_executor_took_its_lease(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "--quiet") as up:
        up.until_line("Ctrl-C stops it")
        with sqlite3.connect(data / "watchkeeper.db", timeout=10) as store:
            changed = "UPDATE leases SET holder = 'another', pid = ?, born = ?"
            store.execute(changed, (os.getpid(), born(os.getpid())))
        store.close()

        assert up.process.wait(PATIENCE) == 3
        up.until_line("another executor has taken over")


def test_the_greeting_names_the_configuration_what_it_may_act_on_and_what_was_not_found(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(
        "only: [local/production/redis/newc-cache]\nhosts: {local: {enabled: false}}\nresources:\n"
        f"  - {{name: newc-cache, kind: redis, url: '{redis_server.url}'}}\n  - {{name: newc-cahce, act: true}}\n"
    )
    with running(tmp_path / "data") as up:
        up.until_line("What happens from here on")
        up.until_line('▲ resources: "newc-cahce" matches nothing that was found; did you mean "newc-cache"?')
        up.until_line(f"Its configuration is {tmp_path}/watchkeeper.yaml.")
        up.until_line("It may act on none of 1: what the configuration permits it to act on was not found.")
        assert up.stop(signal.SIGINT) == 0
    assert up.lines[0] == "Looking around…"
    assert "Stopping; a fix that is under way is taken up at the next start." in up.lines


def test_a_broken_configuration_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.yaml").write_text("mode: automatic\n")
    command = [str(WATCHKEEPER), "up", "--data", str(tmp_path / "data")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)

    assert said.returncode == 2
    assert "`mode`" in said.stderr
    assert "Traceback" not in said.stderr
