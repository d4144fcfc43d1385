"""A machine under a real systemd, looked at over SSH by a user with the rights of docs/hosts.md; our own unit on it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.machine import ROOT, Box, machine, ran
from watchkeeper.connectors.redis import connector as redis
from watchkeeper.domain import HostState, WatchkeeperError
from watchkeeper.hosts import Machine, ServiceHost, SshShell

pytestmark = pytest.mark.lab
UNIT = "watchkeeper.service"
OURS = """\
#!/usr/bin/python3 -B
import sys
sys.path[:0] = ["/opt/watchkeeper/src", "/opt/watchkeeper/monitor", "/opt/watchkeeper/site"]
from watchkeeper.cli import main
main()
"""
IMPATIENT = "[Service]\nWatchdogSec=15\n"
"""It tells that it works three times as often."""
UNITS = ("cache", "carts", "orders", "hungry", "failing")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "client"
    ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    return path


@pytest.fixture(scope="module")
def box(key: Path) -> Iterator[Box]:
    site = next(path for path in sys.path if path.endswith("site-packages"))
    there = {
        site: "/opt/watchkeeper/site",
        ROOT / "src": "/opt/watchkeeper/src",
        ROOT / "packages/monitor/src": "/opt/watchkeeper/monitor",
        ROOT / "deploy/systemd" / UNIT: f"/etc/systemd/system/{UNIT}",
    }
    mounts = [word for here, inside in there.items() for word in ("--volume", f"{here}:{inside}:ro")]
    with machine(key.with_suffix(".pub"), *mounts) as made:
        yield made


@pytest.fixture
async def far(box: Box, key: Path) -> AsyncIterator[Machine]:
    private = await asyncio.to_thread(key.read_text)
    shell = SshShell("box", address=box.address, user="watchkeeper", key=private, host_key=box.host_key)
    async with Machine(shell, name="box", provider="ssh", sudo=True) as opened:
        yield opened


async def until(service: ServiceHost, wanted: Callable[[HostState], bool]) -> HostState:
    """Its state, once it is so."""
    async with asyncio.timeout(60):
        while not wanted(state := await service.state()):
            pass  # a survey takes its time
        return state


async def ends(service: ServiceHost) -> tuple[str, int | None]:
    state = await until(service, lambda state: state.status == "exited")
    return state.stopped_by, state.exit_code


async def test_each_end_of_a_unit_is_told_by_its_cause_and_a_killed_one_is_started_again(
    box: Box, far: Machine
) -> None:
    async with asyncio.timeout(60):
        while not {*UNITS} <= {host.unit.removesuffix(".service") for host in await far.hosts() if host.pid}:
            pass
    units = {host.unit.removesuffix(".service"): host for host in await far.hosts()}
    found = {resource.id async for resource in redis.discover([units[name] for name in UNITS], {})}
    assert found == {f"ssh/production/redis/box/{name}" for name in ("cache", "carts", "orders")}

    # Killed, and systemd leaves it: it is started again, by the one line of sudoers.
    box.root("systemctl", "kill", "--signal=KILL", "cache")
    assert await ends(units["cache"]) == ("killed", 137)
    first = (await units["cache"].state()).start_count
    await units["cache"].start()
    assert (await units["cache"].state()).status == "running"
    assert (await units["cache"].state()).start_count != first

    # Killed, and systemd starts it itself in its own time: meanwhile it is being restarted, not ended.
    began = (await units["carts"].state()).start_count
    box.root("systemctl", "kill", "--signal=KILL", "carts")
    state = await until(units["carts"], lambda state: state.status != "running")
    assert (state.status, state.stopped_by) == ("restarting", "")
    state = await until(units["carts"], lambda state: state.status != "restarting")
    assert state.status == "running"
    assert state.start_count != began
    assert units["carts"].restarts == 1

    # Stopped by somebody; ended for lack of memory; ended by itself.
    box.root("systemctl", "stop", "orders")
    assert await ends(units["orders"]) == ("on_purpose", 0)
    box.root("touch", "/run/eat")
    assert await ends(units["hungry"]) == ("oom", 137)
    box.root("touch", "/run/fail")
    assert await ends(units["failing"]) == ("exited", 3)

    # What the line does not name is refused, and said.
    with pytest.raises(WatchkeeperError, match=r"systemctl restart ssh\.service"):
        await units["ssh"].restart()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the machine's Python is 3.11, and it uses our packages")
def test_our_own_unit_starts_there_and_tells_systemd_that_it_is_ready_and_works_still(box: Box) -> None:
    box.write("/opt/watchkeeper/bin/watchkeeper", OURS)
    box.root("chmod", "755", "/opt/watchkeeper/bin/watchkeeper")
    box.write("/etc/watchkeeper/watchkeeper.yaml", "only: [nothing]\n")
    box.write(f"/etc/systemd/system/{UNIT}.d/impatient.conf", IMPATIENT)
    assert box.root("systemd-analyze", "verify", UNIT).strip() == ""
    box.root("systemctl", "daemon-reload")
    box.root("systemctl", "start", UNIT)  # ends once it says that it is ready
    first = box.shown(UNIT, "MainPID")
    assert box.shown(UNIT, "SubState") == "running"
    assert box.root("stat", "-c", "%a %U", "/var/lib/watchkeeper/token").strip() == "600 watchkeeper"

    told, deadline = box.shown(UNIT, "WatchdogTimestampMonotonic"), time.monotonic() + 90
    while box.shown(UNIT, "WatchdogTimestampMonotonic") == told:
        assert time.monotonic() < deadline, box.root("systemctl", "status", UNIT)
    assert (box.shown(UNIT, "MainPID"), box.shown(UNIT, "NRestarts")) == (first, "0")
