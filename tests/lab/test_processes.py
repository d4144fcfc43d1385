"""The lab without an engine: plain processes, the same oracle, the same faults but those that need a container."""

import asyncio
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchkeeper_lab import Lab, programs
from watchkeeper_lab import instance as instances
from watchkeeper_lab.bench import schedule
from watchkeeper_lab.cli import app
from watchkeeper_lab.errors import BadInputError, MissingError
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.proc import Pid
from watchkeeper_lab.processes import Processes
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import left_out, scenario, scenarios
from watchkeeper_lab.server import watchkeeper_for

cli = CliRunner()
OF_THE_NETWORK = {
    "dns-failing",
    "network-burst",
    "network-link-choked",
    "network-packet-loss",
    "replica-partitioned",
}
LEFT_OUT = {
    "nginx-killed",
    "nginx-misrouted",
    "nginx-upstream-gone",
    "postgres-disk-full",
    "postgres-inodes-out",
    "redis-folder-unwritable",
    "redis-memory-full-no-headroom",
    "shop-crash-loop",
    "shop-memory-leak",
    "shop-replica-errors",
    *OF_THE_NETWORK,
}


@pytest.fixture(autouse=True)
def own_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labs of this test's own, and no engine: its socket is not there, and none may be started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")

    async def cannot(say: object) -> str:
        raise MissingError("No Docker engine can run here.", "Install Docker.")

    monkeypatch.setattr("watchkeeper_lab.grounds.ensure_engine", cannot)


def prepared(name: str, services: set[str]) -> Instance:
    """A lab that was not started, with a folder for each of these services."""
    made = instances.create(name, "process")
    made.save()
    for service in services:
        (made.folder / service).mkdir()
    return made


def running_in(folder: Path) -> list[int]:
    """Processes that work below a folder, whoever started them."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if folder in Path(os.readlink(entry / "cwd")).parents:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_without_an_engine_the_shop_runs_as_processes_is_healed_and_leaves_none(tmp_path: Path) -> None:
    said: list[str] = []
    async with Lab.running("plain", said.append) as lab:
        assert lab.ground == "process"
        assert said[0].startswith("No Docker engine can run here. So the services run as plain processes")
        for name in LEFT_OUT:
            assert any(line.startswith(f"Left out here: {name} needs a {scenarios()[name].needs}: ") for line in said)
            with pytest.raises(BadInputError, match=r"needs a (container|disk|network)"):
                await lab.inject(name)
        started = {name: state.where for name, state in (await lab.services.states()).items()}
        assert set(started) == {"redis", "postgres", "nginx", "shop-1", "shop-2"}
        assert len(running_in(tmp_path)) >= 4
        folder = tmp_path / "watchkeeper"
        folder.mkdir()
        async with watchkeeper_for(lab, folder) as server:
            run = await play(lab, scenario("redis-memory-full-headroom"), server.base_url, look_at_fault=True)
        assert run.broken is not None
        assert any("of maxmemory" in reason for reason in run.broken.reasons), run.broken.reasons
        assert run.row.right, run.row
        assert run.row.data_lost == 0
        judged = await lab.oracle.judge()
        assert judged.healthy, judged.reasons
        assert judged.facts["lost_writes"] == 0
        cluster = lab.instance.cluster
    assert running_in(tmp_path) == []
    assert not os.path.exists(cluster)  # noqa: ASYNC240


async def test_a_service_is_killed_halted_and_started_again(tmp_path: Path) -> None:
    services = Processes(prepared("parts", {"redis"}))
    await services.start("redis")
    try:
        first = (await services.states())["redis"]
        assert first.running
        await services.pause("redis")
        assert (await services.states())["redis"].paused
        await services.unpause("redis")
        assert (await services.states())["redis"].running
        await services.kill("redis")
        assert (await services.states())["redis"].status == "exited"
        await services.start("redis")
        second = (await services.states())["redis"]
        assert second.running
        assert second.started_at != first.started_at
    finally:
        await services.end_all()
    assert running_in(tmp_path) == []


async def test_what_somebody_else_started_again_in_its_stead_is_recognised_and_ended(tmp_path: Path) -> None:
    made = prepared("heir", {"redis"})
    services, program = Processes(made), programs.programs(made)["redis"]
    heir = await asyncio.create_subprocess_exec(*program.argv, cwd=program.folder, stdout=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while True:
                if "redis" in await services.states():
                    break
                await asyncio.sleep(0.02)
        assert (await services.states())["redis"].where == f"process {heir.pid}"
    finally:
        await services.end_all()
    assert await heir.wait() is not None
    assert running_in(tmp_path) == []


def test_a_number_that_was_given_to_another_process_is_not_touched() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        Pid(child.pid, "1").send(signal.SIGKILL)
        assert not Pid(child.pid, "1").alive
        right = Pid.of(child.pid)
        assert right is not None
        assert right.alive
        right.send(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not right.alive
    finally:
        child.kill()


def test_what_needs_a_container_says_why_and_is_listed() -> None:
    assert set(left_out("process")) == LEFT_OUT
    elsewhere = "the engine is elsewhere: nothing is mounted there, and no namespace of it can be entered"
    assert set(left_out("container")) == {"postgres-disk-full", "postgres-inodes-out", *OF_THE_NETWORK}, elsewhere
    answer = cli.invoke(app, ["faults"])
    for name, why in left_out("process").items():
        assert f"{name} needs a {scenarios()[name].needs}: {why}" in answer.stdout
    names = {one.name for one, _ in schedule([], 1, random.Random(1), "process")}
    mine = {one.name for one in scenarios().values() if not (one.is_long or one.unforeseen)}
    assert names == mine - LEFT_OUT
    with pytest.raises(BadInputError, match="needs a container"):
        schedule(["redis-memory-full-no-headroom"], 1, random.Random(1), "process")


def test_a_lab_stays_on_the_ground_it_was_started_on() -> None:
    instances.create("mine", "container").save()
    answer = cli.invoke(app, ["up", "--processes", "--name", "mine"])
    assert answer.exit_code == 2
    assert "runs in containers" in answer.stderr
