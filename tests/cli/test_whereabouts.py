"""A server that does not answer (yet): whether it is starting, or where it listened last."""

import re
from pathlib import Path

from tests.cli.conftest import Run, running
from tests.conftest import free_port
from watchkeeper.store import Lease, Store


def elsewhere(folder: Path, more: str = "") -> int:
    """A port at which nobody listens, as the configured one: at the usual one somebody may."""
    port = free_port()
    (folder / "watchkeeper.yaml").write_text(f"server: {{port: {port}}}\n{more}")
    return port


async def test_one_that_is_starting_is_told_with_its_process(tmp_path: Path, run: Run) -> None:
    import os

    data = tmp_path / "data"
    data.mkdir()
    async with Store.open(f"sqlite+aiosqlite:///{data / 'watchkeeper.db'}") as store:
        await store.take(Lease("executor", "exec-1"))  # as `up` does before it looks around
        port = elsewhere(tmp_path)
        said = run("--data", str(data), "status")
    assert said.code == 2
    assert f"No server runs at http://127.0.0.1:{port}." in said.err
    assert f"Process {os.getpid()} uses {data} and does not answer yet: it is starting" in said.err


def test_where_the_last_one_listened_is_told_and_its_output_in_a_file_is_for_people(tmp_path: Path, run: Run) -> None:
    elsewhere(tmp_path, "only: [nothing]\nhosts: {local: {enabled: false}}\n")
    with running(tmp_path / "data") as up:
        up.until_line("What happens from here on")
        up.stop()
    said = run("--data", str(tmp_path / "data"), "status")
    assert said.code == 2
    assert f"listened at http://127.0.0.1:{up.port}, and has ended." in said.err
    assert not [line for line in up.lines if re.search(r" $", line)], "no line is filled up with blanks"


def test_nothing_is_said_of_data_that_nobody_has_used(tmp_path: Path, run: Run) -> None:
    port = elsewhere(tmp_path)
    said = run("--data", str(tmp_path / "none"), "status")
    assert said.err.splitlines() == [
        f"watchkeeper: No server runs at http://127.0.0.1:{port}.",
        "`watchkeeper up` starts it; --url names another one.",
    ]
