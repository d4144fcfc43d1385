"""The engine that a lab had to start: it is stopped with the last lab that needs it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchkeeper_lab import grounds, instance
from watchkeeper_lab.services import ServiceState


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """What is noted as the engine of a lab, and is none: a process of that name."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    instance.state_home().mkdir(parents=True)
    process = subprocess.Popen(["dockerd-of-a-test", "60"], executable="/bin/sleep")
    while b"dockerd" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
        assert process.poll() is None  # for a moment it has no name yet
    (instance.state_home() / "dockerd.pid").write_text(str(process.pid))
    yield process
    process.kill()
    process.wait()


def says(monkeypatch: pytest.MonkeyPatch, **pids: int) -> None:
    """Each lab has one container, with this process."""

    class Told:
        def __init__(self, name: str) -> None:
            self.name = name

        async def states(self) -> dict[str, ServiceState]:
            return {"redis": ServiceState("c", "running" if pids[self.name] else "exited", pid=pids[self.name])}

    monkeypatch.setattr(grounds, "services_of", lambda made: Told(made.name))
    for name in pids:
        instance.create(name).save()


async def test_it_is_stopped_although_a_lab_that_was_killed_left_its_folder(
    engine: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, killed=0)
    await grounds.release_engine()
    engine.wait(10)  # raises where it runs on; what ends has no name any more a moment before it can be waited for


async def test_it_runs_on_while_a_lab_has_a_container_that_runs(
    engine: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, killed=0, busy=17)
    await grounds.release_engine()
    assert engine.poll() is None
