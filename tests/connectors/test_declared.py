"""Drift is found, and its patch applies, keeps everything else and ends it."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import RedisServer, free_port
from tests.domain.making import T0, resource

from watchkeeper.connectors.compose import Compose, Place, of
from watchkeeper.connectors.redis import connector
from watchkeeper.domain import Event
from watchkeeper.domain.drift import Declared, Edit, patches, size
from watchkeeper.hosts import LocalShell, Machine
from watchkeeper.watch.ledger import drifted

FILE = """\
x-shop: &shop
  mem_limit: 256m   # for all
services:
  cache:  # ours
    image: redis
    command: >-
      redis-server --maxmemory 128mb
      --maxmemory-policy noeviction
    mem_limit: "256m"  # half a small box
    pids_limit: ${PIDS:-100}
  carts:
    <<: *shop
    command: [redis-server, --maxmemory, "64mb"]
  flow: {image: redis}
"""


def compose(folder: Path, service: str, text: str = FILE) -> Compose:
    file = folder / "compose.yaml"
    file.write_text(text)
    labels = {
        "com.docker.compose.project.config_files": "compose.yaml",
        "com.docker.compose.project.working_dir": str(folder),
        "com.docker.compose.service": service,
    }
    (found,), _ = of(labels)
    return found


def applied(folder: Path, *edits: Edit | None, tool: tuple[str, ...] = ("patch", "-p0")) -> str:
    """The file after its patch was applied by the real tool."""
    (made,) = patches([edit for edit in edits if edit], lambda text: False)
    _, _, rest = made.diff.split("\n", 2)
    diff = f"--- {Path(made.file).name}\n+++ {Path(made.file).name}\n{rest}"
    subprocess.run(tool, input=diff, text=True, cwd=folder, check=True, capture_output=True)
    return Path(made.file).read_text()


@pytest.mark.parametrize("tool", [("patch", "-p0"), ("git", "apply", "-p0")], ids=["patch", "git apply"])
def test_several_edits_are_one_patch_that_keeps_comments_and_quotes(tmp_path: Path, tool: tuple[str, ...]) -> None:
    found = compose(tmp_path, "cache")
    limit, memory = found.place("mem_limit", "300m"), found.flag("maxmemory", "180mb")

    assert (limit.value, memory.value) == ("256m", "128mb")
    assert applied(tmp_path, limit.edit, memory.edit, tool=tool) == FILE.replace(
        'mem_limit: "256m"  # half', 'mem_limit: "300m"  # half'
    ).replace("--maxmemory 128mb", "--maxmemory 180mb")


def test_what_several_services_share_is_set_for_one_alone(tmp_path: Path) -> None:
    found = compose(tmp_path, "carts")
    place = found.place("mem_limit", "300m")

    assert place.value == "256m"
    assert applied(tmp_path, place.edit) == FILE.replace("    <<: *shop", "    mem_limit: 300m\n    <<: *shop")


def test_a_flag_in_a_list_is_found(tmp_path: Path) -> None:
    place = compose(tmp_path, "carts").flag("maxmemory", "80mb")

    assert place.value == "64mb"
    assert applied(tmp_path, place.edit) == FILE.replace('"64mb"', '"80mb"')


def test_what_comes_from_a_variable_is_said_and_not_patched(tmp_path: Path) -> None:
    place = compose(tmp_path, "cache").place("pids_limit", "200")

    assert place.edit is None
    assert "comes from a variable (${PIDS:-100})" in place.why_not


@pytest.mark.parametrize(("service", "why"), [("flow", "on one line"), ("nobody", "not a service")])
def test_what_cannot_be_patched_says_why(tmp_path: Path, service: str, why: str) -> None:
    place = compose(tmp_path, service).place("mem_limit", "300m")

    assert place == Place(None, None, place.why_not)
    assert why in place.why_not


@pytest.mark.parametrize("content", [None, "a: [secret"], ids=["not there", "not YAML"])
def test_a_file_that_cannot_be_read_is_named_and_its_content_is_not(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "compose.yaml"
    if content is not None:
        file.write_text(content)
    found, why = of(
        {"com.docker.compose.project.config_files": str(file), "com.docker.compose.service": "cache"},
    )

    assert (found, str(file) in why, "secret" in why) == ([], True, False)


def test_a_secret_beside_a_line_is_not_shown_and_the_patch_still_applies(tmp_path: Path) -> None:
    text = "services:\n  db:\n    environment: {DB_PASSWORD: hunter22}\n    mem_limit: 256m\n"
    place = compose(tmp_path, "db", text).place("mem_limit", "300m")
    assert place.edit
    (made,) = patches([place.edit], lambda shown: "hunter22" in shown)

    assert "hunter22" not in made.diff
    assert "secret" in made.note
    assert "mem_limit: 300m" in applied(tmp_path, place.edit)


@pytest.mark.parametrize(
    ("text", "binary", "value"),
    [
        ("128mb", False, 128 << 20),
        ("1k", False, 1000),
        ("256m", True, 256 << 20),
        ("7", False, 7),
        ("${X}", True, None),
    ],
)
def test_sizes_are_read_as_their_file_means_them(text: str, binary: bool, value: int | None) -> None:
    assert size(text, binary=binary) == value


CACHE = resource()


def change(kind: str = "change.config", before: str = "0", after: str = "9", seq: int = 1, fix: str = "") -> Event:
    data: dict[str, object] = {
        "changes": [{"setting": "timeout", "before": before, "after": after}],
        "fix": fix or None,
    }
    return Event(kind, CACHE.id, "", T0, resource=CACHE.id, data=data, seq=seq)


UNDECLARED = Declared("timeout", "timeout", "9", None, "redis.conf", "timeout 9")


def test_what_is_declared_nowhere_drifts_only_where_it_was_seen_to_change() -> None:
    assert drifted(UNDECLARED, CACHE, []) is None
    found = drifted(UNDECLARED, CACHE, [change(fix="fix-1")])
    assert found
    assert (found.fix, found.text) == ("fix-1", "timeout: not declared, live 9, by fix-1")


@pytest.mark.parametrize(
    "events",
    [
        [change(), change(before="9", after="0", seq=2)],
        [change(), Event("change.restart", CACHE.id, "", T0, resource=CACHE.id, seq=2)],
    ],
    ids=["taken back", "started anew since"],
)
def test_a_change_that_is_over_is_no_drift(events: list[Event]) -> None:
    assert drifted(UNDECLARED, CACHE, events) is None


def test_what_is_as_declared_does_not_drift_whoever_changed_it() -> None:
    assert drifted(replace(UNDECLARED, declared="9"), CACHE, [change()]) is None


async def test_what_a_redis_has_written_over_is_not_called_undeclared(tmp_path: Path) -> None:
    port = free_port()
    line = f"setsid redis-server --port {port} --save '' --maxmemory 32mb --dir {tmp_path} >/dev/null 2>&1 </dev/null &"
    await (await asyncio.create_subprocess_shell(line)).wait()
    async with Machine(LocalShell()) as machine, asyncio.timeout(30):
        while not (hosts := [host for host in await machine.hosts() if port in host.ports]):
            pass  # a survey takes its time
        of_it = resource("real", provider="local", settings={"url": f"redis://127.0.0.1:{port}"})
        async with connector.connect(of_it, hosts[0]) as session:
            found = next(one for one in await connector.declared(session) if one.key == "maxmemory")
    os.kill(hosts[0].pid, signal.SIGKILL)
    assert (found.declared, found.live, found.lost, found.line) == (None, "32 MiB", True, "--maxmemory 32mb")
    data: dict[str, object] = {"changes": [{"setting": "maxmemory", "before": str(32 << 20), "after": str(64 << 20)}]}
    changed = Event("change.config", CACHE.id, "", T0, resource=CACHE.id, by="others", data=data, seq=1)
    told = drifted(replace(found, live="64 MiB"), CACHE, [changed])
    assert told is not None
    assert told.text == "maxmemory: 32 MiB before it was changed, live 64 MiB, not by Watchkeeper"
    assert "title over its command line" in told.why_not


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis.conf").write_text("# ours\nMaxMemory 8mb\ntimeout 0 \n")
    found = _from_file(tmp_path)
    yield found
    found.stop()
    assert found.process.stdout is not None
    found.process.stdout.close()


def _from_file(folder: Path) -> RedisServer:
    port = free_port()
    command = ["redis-server", str(folder / "redis.conf"), "--port", str(port), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if b"Ready to accept connections" in line:
            return RedisServer(port, process, folder)
    raise RuntimeError("redis-server did not start")


async def drifting(server: RedisServer) -> list[Declared]:
    of_it = resource("real", provider="local", settings={"url": server.url})
    async with connector.connect(of_it, None) as session:
        found = await connector.declared(session)
    return [one for one in found if one.declared is not None and one.declared != one.live]


async def test_a_redis_restarted_with_the_patched_file_drifts_no_more(server: RedisServer, tmp_path: Path) -> None:
    assert await drifting(server) == []
    with server.client() as client:
        client.config_set("maxmemory", 12 << 20)
    (one,) = await drifting(server)
    assert (one.declared, one.live, one.line) == ("8 MiB", "12 MiB", "maxmemory 12mb")

    assert applied(tmp_path, one.edit) == "# ours\nMaxMemory 12mb\ntimeout 0 \n"
    assert await drifting(server) == []
    again = _from_file(tmp_path)
    try:
        assert await drifting(again) == []
        with again.client() as client:
            assert client.config_get("maxmemory") == {"maxmemory": str(12 << 20)}
    finally:
        again.stop()
        assert again.process.stdout is not None
        again.process.stdout.close()
