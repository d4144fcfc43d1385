"""What a user may do on a machine: told without doing it, given by the printed line, named where it is missing."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from nginx_fixtures import Nginx

from watchkeeper.connectors.nginx import connector as nginx
from watchkeeper.connectors.nginx import learning, needs
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.connectors.service import connector as services
from watchkeeper.connectors.service.read import JOURNAL, ServiceSession
from watchkeeper.domain import Resource, Right, WatchkeeperError
from watchkeeper.domain.rights import units
from watchkeeper.hosts import LocalShell, Machine, ServiceHost, shell
from watchkeeper.hosts.rights import OTHERS, RESTARTS
from watchkeeper.hosts.sudoers import sudoers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root")
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *shell.COMMAND)
UNIT = r"watchkeeper-test@a\x2db:1.service"
Permit = Callable[[str], None]


@pytest.fixture
def as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of this machine is asked as a user without rights."""
    monkeypatch.setattr(shell, "COMMAND", NOBODY)


@pytest.fixture
def permit() -> Iterator[Permit]:
    """Put lines where sudo reads them, once they are valid."""
    if not shutil.which("sudo"):
        pytest.skip("sudo is not installed: apt-get install sudo")
    place = Path(f"/etc/sudoers.d/watchkeeper-test-{os.getpid()}")

    def put(lines: str) -> None:
        place.unlink(missing_ok=True)
        place.touch(mode=0o440)
        place.write_text(f"{lines}\n")
        subprocess.run(["visudo", "--check", "--strict", f"--file={place}"], check=True, capture_output=True)

    yield put
    place.unlink(missing_ok=True)


@pytest.fixture
async def unit() -> AsyncIterator[ServiceSession]:
    async with Machine(LocalShell(), sudo=True) as machine:
        host = ServiceHost(machine, "watchkeeper-test", UNIT, named=True)
        yield ServiceSession(Resource("local/lab/service/watchkeeper-test", "watchkeeper-test", may_act=True), host)


ACT = tuple(right for tool in services.tools for right in tool.rights)


async def test_the_line_for_sudoers_is_what_systemctl_needs_and_no_more(
    unit: ServiceSession, as_nobody: None, permit: Permit
) -> None:
    held = await services.access.held(unit, ACT)
    assert held.user == "the user nobody"
    assert {right.said for right in held.missing} == {f"start {UNIT}", f"restart {UNIT}", JOURNAL.said}
    with pytest.raises(WatchkeeperError, match="password is required") as problem:
        await unit.host.restart()
    assert "doctor --rights --as sudoers" in str(problem.value)

    mine = Resource(unit.resource.id, unit.resource.slug, settings={"username": held.name})
    permit(services.access.grant([right for right in held.missing if right.what != "restart"], mine))
    assert {right.said for right in (await services.access.held(unit, ACT)).missing} == {
        f"restart {UNIT}",
        JOURNAL.said,
    }
    permit(services.access.grant(held.missing, mine))
    assert (await services.access.held(unit, ACT)).missing == (JOURNAL,)
    with pytest.raises(WatchkeeperError) as problem:
        await unit.host.restart()
    assert "password" not in str(problem.value), "sudo lets it through, to a systemd that knows no such unit"

    other = ServiceSession(unit.resource, ServiceHost(unit.host.machine, "other", "other.service", named=True))
    assert len((await services.access.held(other, units("start", "restart"))).missing) == 2


async def test_root_needs_no_line_and_what_polkit_would_say_is_not_known(unit: ServiceSession) -> None:
    assert (await services.access.held(unit, ACT)).missing == ()


async def test_without_sudo_it_is_not_said_to_have_what_nobody_knows(unit: ServiceSession, as_nobody: None) -> None:
    unit.host.machine.sudo = False
    held = await services.access.held(unit, units("restart"))
    assert [right.said for right in held.unknown] == [f"restart {UNIT}"]
    assert "sudo: true" in held.notes[0]


def test_the_line_holds_what_the_rights_are_about() -> None:
    assert sudoers(RESTARTS, ["redis-server.service"], user="keeper") == (
        "keeper ALL=(root) NOPASSWD: /usr/bin/systemctl restart -- redis-server.service"
    )
    assert sudoers(OTHERS, ["redis-server.service"], user="keeper") == ""


async def test_what_an_nginx_asks_of_its_machine_is_told(
    front: NginxSession, front_server: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {right for tool in nginx.tools for right in tool.rights} | set(needs.LOOK)

    async def missing() -> set[Right]:
        return set((await nginx.access.held(front, every)).missing)

    files = [front_server.main, front_server.site, *front_server.folder.glob("*.log")]
    folders = [*front_server.folder.parents, front_server.folder, front_server.site.parent]
    folders = [folder for folder in folders if not folder.stat().st_mode & 0o001]
    before = {path: path.stat() for path in (*files, *folders)}
    assert await missing() == set(), "as root"

    monkeypatch.setattr(shell, "COMMAND", NOBODY)
    of_another = {*needs.COUNTS, *needs.TESTS, *needs.SIGNALS, *needs.WRITES}
    assert await missing() == of_another | {*needs.READS, *needs.LOGS}
    try:
        for folder in folders:
            folder.chmod(before[folder].st_mode & 0o7777 | 0o001)
        for path in files:
            path.chmod(0o644)
        assert await missing() == of_another
        files[-1].chmod(0o640)
        assert await missing() == of_another | {*needs.LOGS}
    finally:
        for path, known in before.items():
            path.chmod(known.st_mode & 0o7777)


async def test_a_test_that_may_not_open_its_files_says_nothing_of_the_configuration(
    front: NginxSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await learning.now(front)
    assert front.tested is not None
    assert front.tested.good
    monkeypatch.setattr(shell, "COMMAND", NOBODY)
    await front.host.machine.look(full=True)  # type: ignore[union-attr]
    await learning.now(front)
    assert front.tested is None, "it is not called broken"
    assert "root, or its master's user" in front.problem
